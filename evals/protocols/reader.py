"""Reader: a small model that says how readable messages are: how surprised it is by their tokens.

The loss of a message is the mean negative log-likelihood of its tokens, in nats, with nothing before it. The first
token has no likelihood and is left out, so that a message of one token has no loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ...errors import InputError
from ...orchestrator import Context, Flow, ModelRole, Node, Runtime, TemplateTree, new_run_id
from ..contestant import Contestant
from .conversations import Held


class WorstLoss(Node):
    """The highest loss of some texts; None if none has one. One call of one token for each different text."""

    kind: ClassVar[str] = "worst-loss"

    model: ModelRole
    texts: TemplateTree = "{{ texts }}"

    async def run(self, ctx: Context) -> float | None:
        """Read each text."""
        worst: float | None = None
        for text in dict.fromkeys(text for text in ctx.render(self.texts) if text.strip()):
            completion = await ctx.complete(
                raw=text, model=self.model, purpose="judge", max_tokens=1, temperature=0.0, prompt_logprobs=True
            )
            known = [value for value in completion.prompt_logprobs or () if value is not None]
            if known:
                loss = -sum(known) / len(known)
                worst = loss if worst is None else max(worst, loss)
        return worst


@dataclass(frozen=True)
class Reader:
    """A role of a flow that reads messages. Its calls are booked to a run of its own, so that no arm pays for them."""

    role: str
    contestant: Contestant = field(repr=False)

    @classmethod
    def of(cls, flow: Flow, role: str) -> Reader:
        """The model that plays `role` in the flow, as a reader."""
        reading = Flow(
            name="reader",
            inputs={"texts": "list"},
            models={role: flow.models[role]},
            nodes={"loss": WorstLoss(model=role)},
            base=flow.base,
        )
        return cls(role, Contestant("reader", reading, new_run_id()))

    async def worst(self, held: Held, runtime: Runtime) -> float | None:
        """The highest loss of the messages of a conversation. Raises what keeps the model from reading them."""
        texts = [said.message.text for said in held.said if not said.message.verdict]
        result = await self.contestant.flow.run(
            {"texts": texts},
            runtime=runtime,
            run_id=self.contestant.run,
            item=f"{held.item}/{held.arm}/{held.number}",
        )
        worst = result.raise_for_status().values["loss"]
        return None if worst is None else float(worst)


async def find_reader(flow: Flow, runtime: Runtime, role: str = "") -> Reader | None:
    """The role that reads: the one named, else the first whose server gives the logprobs of a prompt, `small` before
    the others. None if no server does.

    Raises InputError for a role that there is not or whose server does not.
    """
    models = await runtime.models(flow)
    if role and role not in models:
        raise InputError(f"--reader {role}: the flow has no such model; it has {', '.join(models)}")
    for name in [role] if role else sorted(models, key=lambda name: name != "small"):
        facts = await models[name].backend.facts()
        if facts.knows("prompt_logprobs", chat=False):
            return Reader.of(flow, name)
    if role:
        raise InputError(
            f"--reader {role}: its server does not say how likely the tokens of a prompt are (`prompt_logprobs`); vLLM "
            "does. Name a model that vLLM serves, or leave --reader out to rank without readability"
        )
    return None


def repeats(texts: Sequence[tuple[str, str]]) -> bool:
    """Whether an agent said the same twice; `texts` are senders and what they said. Two that give the same answer only
    agree.
    """
    said = [(sender, text.strip()) for sender, text in texts]
    return len(set(said)) < len(said)
