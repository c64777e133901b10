"""`protocol: autoform`: the model chooses the form of the messages.

After AutoForm (Chen et al., 2024, arXiv 2402.18439). `per: message`: agents are only told that they may. `per: item`:
at the start of a conversation the first agent chooses a form for its task. `per: task`: a form is chosen once from a
few example tasks, and remembered; as it does not change, servers keep the prompt's beginning in their prefix cache.

A form that a model chose is text from outside: it is cut at a length and shown as a description, and the answer stands
on a line of its own whatever it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal, Self

import msgspec
from pydantic import Field, model_validator

from ...errors import BackendError, NodeError
from ...orchestrator import Context, ModelRole, TemplateTree
from ...orchestrator.shown import one_line, shorten
from ...orchestrator.template import as_text
from ..agent import Seat
from ..message import indented
from ..protocol import Content, Protocol, protocol
from .answer_line import ASKED_FOR, parted, read_answer
from .loose_json import read_object
from .plain import Concise, Plain

MOST_TOKENS = 120
"""Of the answer to the question for a form."""
MOST_CHARACTERS = 400
"""Of a form; it is in every prompt."""
LEAST_CHARACTERS = 12
"""What is shorter describes nothing."""
MOST_OF_TASK = 600
"""Characters of a task that are shown to whoever chooses a form."""

_NO_ANSWER = "Answer:"
"""The last line of a message that gives none although an object in its text has one."""

FREE = (
    "The others read any form as easily as plain language: code, JSON, tables, symbols, abbreviations. Write your "
    f"message to them in the form that says it clearly in the fewest tokens. {ASKED_FOR}"
)
CHOOSE = (
    "Agents who each know a part of what is needed will write messages to each other to solve {what} below. Choose the "
    "form of message that tells the facts they must exchange in the fewest tokens, such as JSON, key=value, a table, "
    "code or abbreviations. All of them know the task, and the answer stands below a message: the form has a place for "
    "neither. Describe the form in one or two lines and show one short example message about something else. Do not "
    "solve the task.\n\n{tasks}"
)


class InForm(Plain):
    """Messages in a form that was chosen.

    An answer that a model writes under the key `answer` of its form, and not on a line below it, is one too.
    """

    description: str

    def instruction(self) -> str:
        """The form, told apart from what is asked."""
        return (
            f"All messages have this form:\n  {indented(self.description)}\n"
            f"Write your message to the others in it, nothing else. {ASKED_FOR}"
        )

    def parse(self, text: str) -> Content:
        """As `plain`; without an answer line, what the first object in the text has as its answer."""
        content = super().parse(text)
        if content.answer is not None or text.rstrip().endswith(_NO_ANSWER):
            return content
        return Content(content.text, _answer_inside(content.text))

    def encode(self, content: Content) -> str:
        """As `plain`; an answer that the text gives is not said again, and one that it only quotes is disowned."""
        inside = _answer_inside(content.text)
        if inside is None or content.answer not in (None, inside):
            return super().encode(content)
        text = super().encode(Content(content.text))
        return text if content.answer else f"{text}\n{_NO_ANSWER}"


@protocol("autoform")
class AutoForm(Plain):
    """A form of the model's own choice for each message, for each item or for a family of tasks."""

    per: Literal["message", "item", "task"] = Field(default="item", description="What a form is chosen for.")
    by: ModelRole | None = Field(
        default=None, description="With `per: task`: the role that chooses; by default, that of the first agent."
    )
    examples: TemplateTree = Field(
        default=[], description="With `per: task`: a few tasks of the family, from which the form is chosen."
    )

    @model_validator(mode="after")
    def _knows_the_family(self) -> Self:
        if self.per == "task" and not self.examples:
            raise ValueError("`per: task` needs `examples`, a few tasks of the family")
        if self.per != "task" and (self.examples or self.by is not None):
            raise ValueError("`examples` and `by` belong to `per: task`")
        return self

    def instruction(self) -> str:
        """That any form will do."""
        return FREE

    async def agreed(self, ctx: Context, task: str, seats: tuple[Seat, ...]) -> Protocol:
        """The protocol with the form that was chosen; `concise` if no form came of it, with a note that says so.

        Raises BudgetExceeded, and NodeError for examples that are no texts.
        """
        if self.per == "message":
            return self
        if self.per == "item":
            form = await _chosen(ctx, _question([task]), seats[0].model, agent=seats[0].name)
        else:
            form = await self._of_family(ctx, self.by or seats[0].model)
        if form is None:
            return Concise()
        ctx.note(f"form of the messages: {one_line(form)}")
        return InForm(description=form)

    async def _of_family(self, ctx: Context, model: str) -> str | None:
        """The form that is remembered for these examples, or else chosen now."""
        examples = ctx.render(self.examples)
        if isinstance(examples, str) or not isinstance(examples, Sequence) or not examples:
            raise NodeError("`examples` of the protocol autoform must be a list of at least one task")
        question = _question([as_text(example) for example in examples])
        key = _key(ctx, question, model)
        known = (ctx.recall(key) or {}).get("form")
        form = _cleaned(known) if isinstance(known, str) else None
        if form is None:
            form = await _chosen(ctx, question, model)
            if form is not None:
                ctx.remember(key, {"form": form})
        return form


def _answer_inside(text: str) -> str | None:
    """The answer of a message that is an object; one that an object in it has is only quoted."""
    read = read_object(text) if text.lstrip("` \n").removeprefix("json").lstrip().startswith("{") else None
    if read is None or (read.cut is not None and read.cut.lower() == "answer"):
        return None
    found = next((value for key, value in read.fields.items() if key.lower() == "answer"), None)
    if isinstance(found, bool):
        found = "true" if found else "false"
    return Content("", str(found)).answer if isinstance(found, (str, int, float)) else None


def _question(tasks: Sequence[str]) -> str:
    shown = "\n".join(f"Task: {indented(shorten(task, MOST_OF_TASK))}" for task in tasks)
    return CHOOSE.format(what="the task" if len(tasks) == 1 else "tasks like those", tasks=shown)


async def _chosen(ctx: Context, question: str, model: str, agent: str = "") -> str | None:
    try:
        said = await ctx.complete(question, model=model, purpose="format", max_tokens=MOST_TOKENS, agent=agent)
    except BackendError as error:
        ctx.note(f"no form was chosen, messages are concise: {error}")
        return None
    form = _cleaned(said.text)
    if form is None:
        ctx.note(f"no form was chosen, messages are concise: {model} described none")
    return form


def _cleaned(text: str) -> str | None:
    """A description as it may be shown, without answers in it; None if nothing is described."""
    lines = parted(text, read_answer).text.splitlines()
    form = Content("\n".join(line for line in lines if not line.lstrip().startswith("```"))).text
    if len(form) > MOST_CHARACTERS:
        form = shorten(form, MOST_CHARACTERS)
    return form if len(form) >= LEAST_CHARACTERS else None


def _key(ctx: Context, question: str, model: str) -> str:
    """What a form is remembered by: the tasks and what was asked about them, and the model that chose."""
    spec = ctx.flow.models.get(model)
    drawn: Any = None if spec is None else (spec.temperature, spec.top_p, spec.seed, spec.extra)
    metered = ctx.run.models.get(model)
    name = model if metered is None else metered.backend.model  # an unknown role is told when it is asked
    text = msgspec.json.encode((question, name, drawn, MOST_TOKENS))
    return f"autoform/{blake2b(text, digest_size=16).hexdigest()}"
