"""Worked examples: one source for every method that shows examples, so that comparing methods compares only methods.

The same questions become a chain of thought (Wei et al. 2022, arXiv 2201.11903), a ReAct conversation (Yao et al. 2023,
arXiv 2210.03629) and a ReWOO plan (Xu et al. 2023, arXiv 2305.18323). They were written for this project; their facts
are common knowledge and their questions are in no data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .plan import Ref, references

Turn = dict[str, str]
"""One turn of a chat: `role` and `content`."""


@dataclass(frozen=True, slots=True)
class ExemplarStep:
    """One tool call of a worked example.

    `argument` may use `#E1` for what step 1 found. `finding` is what a reader takes from `observation`, and `learned` a
    sentence that says so: a ReAct trace, which has seen the observation, begins its next thought with that sentence and
    writes the finding where the plan has the reference.
    """

    thought: str
    tool: str
    argument: str
    observation: str
    finding: str
    learned: str = ""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A question, the tool calls that answer it, what follows from them, and the short answer."""

    question: str
    steps: tuple[ExemplarStep, ...]
    conclusion: str
    answer: str


def cot_turns(exemplar: Exemplar) -> list[Turn]:
    """The example as a question and a chain of thought without tools."""
    thought = " ".join([*(step.learned for step in exemplar.steps if step.learned), exemplar.conclusion])
    return [_asked(exemplar), {"role": "assistant", "content": f"{thought}\nAnswer: {exemplar.answer}"}]


def react_turns(exemplar: Exemplar) -> list[Turn]:
    """The example as a ReAct conversation: the model's turns are thought and action, the user's are observations."""
    turns = [_asked(exemplar)]
    findings: dict[str, str] = {}
    learned = ""
    for number, step in enumerate(exemplar.steps, 1):
        thought = f"{learned} {step.thought}".strip()
        action = f"{step.tool}[{_filled(step.argument, findings)}]"
        turns.append({"role": "assistant", "content": f"Thought: {thought}\nAction: {action}"})
        turns.append({"role": "user", "content": f"Observation: {step.observation}"})
        findings[f"E{number}"], learned = step.finding, step.learned
    turns.append({"role": "assistant", "content": f"Thought: {exemplar.conclusion}\nAnswer: {exemplar.answer}"})
    return turns


def plan_turns(exemplar: Exemplar) -> list[Turn]:
    """The example as a question and its ReWOO plan; a plan holds no observations, which is why it is short."""
    lines = (
        f"Plan: {step.thought}\n#E{number} = {step.tool}[{step.argument}]"
        for number, step in enumerate(exemplar.steps, 1)
    )
    return [_asked(exemplar), {"role": "assistant", "content": "\n".join(lines)}]


def _asked(exemplar: Exemplar) -> Turn:
    return {"role": "user", "content": f"Question: {exemplar.question}"}


def _filled(argument: str, findings: Mapping[str, str]) -> str:
    return "".join(findings[part.id] if isinstance(part, Ref) else part for part in references(argument))


EXEMPLARS: tuple[Exemplar, ...] = (
    Exemplar(
        question="How many years after the Eiffel Tower did the Golden Gate Bridge open?",
        steps=(
            ExemplarStep(
                thought="Find the year in which the Eiffel Tower opened.",
                tool="search",
                argument="Eiffel Tower opening year",
                observation="Eiffel Tower: The Eiffel Tower is a wrought-iron lattice tower in Paris, named after the "
                "engineer Gustave Eiffel, whose company built it. It opened in 1889 for that year's World's Fair.",
                finding="1889",
                learned="The Eiffel Tower opened in 1889.",
            ),
            ExemplarStep(
                thought="Find the year in which the Golden Gate Bridge opened.",
                tool="search",
                argument="Golden Gate Bridge opening year",
                observation="Golden Gate Bridge: The Golden Gate Bridge is a suspension bridge between San Francisco "
                "and Marin County, California. Its chief engineer was Joseph Strauss. It opened on 27 May 1937.",
                finding="1937",
                learned="The Golden Gate Bridge opened in 1937.",
            ),
            ExemplarStep(
                thought="Subtract the first year from the second.",
                tool="calculator",
                argument="#E2 - #E1",
                observation="48",
                finding="48",
            ),
        ),
        conclusion="1937 - 1889 = 48, so it opened 48 years later.",
        answer="48",
    ),
    Exemplar(
        question="Which mountain is higher, Mont Blanc or Mount Elbrus?",
        steps=(
            ExemplarStep(
                thought="Find the height of Mont Blanc.",
                tool="search",
                argument="Mont Blanc height",
                observation="Mont Blanc: Mont Blanc is the highest mountain of the Alps, on the border of France and "
                "Italy. It was first climbed in 1786. Its summit is about 4,806 m above sea level.",
                finding="4,806 m",
                learned="Mont Blanc is 4,806 m high.",
            ),
            ExemplarStep(
                thought="Find the height of Mount Elbrus.",
                tool="search",
                argument="Mount Elbrus height",
                observation="Mount Elbrus: Mount Elbrus is a dormant volcano in the Caucasus, in the south of Russia. "
                "Its western summit is 5,642 m above sea level, its eastern summit 5,621 m.",
                finding="5,642 m",
                learned="Mount Elbrus is 5,642 m high.",
            ),
        ),
        conclusion="5,642 m is more than 4,806 m, so Mount Elbrus is higher.",
        answer="Mount Elbrus",
    ),
    Exemplar(
        question="What is the capital of the country in which Mount Kilimanjaro stands?",
        steps=(
            ExemplarStep(
                thought="Find the country in which Mount Kilimanjaro stands.",
                tool="search",
                argument="Mount Kilimanjaro country",
                observation="Mount Kilimanjaro: Mount Kilimanjaro is a dormant volcano in the north-east of Tanzania. "
                "With its summit Uhuru Peak, 5,895 m above sea level, it is the highest mountain of Africa.",
                finding="Tanzania",
                learned="Mount Kilimanjaro stands in Tanzania.",
            ),
            ExemplarStep(
                thought="Find the capital of that country.",
                tool="search",
                argument="capital of #E1",
                observation="Dodoma: Dodoma is the capital of Tanzania and of the Dodoma Region. It lies in the middle "
                "of the country; the largest city and chief port is Dar es Salaam, on the coast.",
                finding="Dodoma",
                learned="The capital of Tanzania is Dodoma.",
            ),
        ),
        conclusion="Kilimanjaro stands in Tanzania, whose capital is Dodoma.",
        answer="Dodoma",
    ),
    Exemplar(
        question="In which town was the composer of the opera Peter Grimes born?",
        steps=(
            ExemplarStep(
                thought="Find who composed the opera Peter Grimes.",
                tool="search",
                argument="Peter Grimes opera composer",
                observation="Peter Grimes: Peter Grimes is an opera in three acts by Benjamin Britten, with a libretto "
                "by Montagu Slater after a poem by George Crabbe. It was first performed in London in 1945.",
                finding="Benjamin Britten",
                learned="Benjamin Britten composed Peter Grimes.",
            ),
            ExemplarStep(
                thought="Find the town in which that composer was born.",
                tool="search",
                argument="#E1 birthplace",
                observation="Benjamin Britten: Benjamin Britten (22 November 1913 - 4 December 1976) was an English "
                "composer, conductor and pianist. He was born in Lowestoft, Suffolk, the son of a dentist.",
                finding="Lowestoft",
                learned="Benjamin Britten was born in Lowestoft.",
            ),
        ),
        conclusion="The composer of Peter Grimes is Benjamin Britten, who was born in Lowestoft.",
        answer="Lowestoft",
    ),
)
"""Arithmetic, a comparison, two chains of searches: the shapes of a plan, the commonest last."""
