"""Speak: one agent's turn, as a node. Its calls, a repair included, are booked under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ConfigDict, SkipValidation

from ..backends.request import Completion
from ..errors import LaconicError, MessageError, NodeError
from ..orchestrator import Context, Node
from ..orchestrator.shown import as_data
from ..tools.calling import call_tool
from ..tools.text_call import read_call
from .agent import Seat
from .message import Act, indented
from .protocol import Content, Protocol

CALL = "Call:"
"""What a line that calls a tool begins with."""
RESULT_TOKENS = 400
"""About how many tokens of what a tool returned are shown."""


@dataclass(frozen=True)
class Utterance:
    """What an agent said in its turn."""

    text: str
    """As it is delivered."""
    answer: str | None
    understood: bool
    tokens: int | None
    """Tokens that were generated for it; None where the server did not say."""
    act: Act | None = None
    """What it does, if the turn itself shows that; otherwise its topology says."""
    verdict: bool = False
    """Whether a single token said it: the text is the engine's own."""


class Speak(Node):
    """Let an agent say one thing; the value is an `Utterance`.

    A message that does not follow the protocol is repaired once; if the second does not either, it is delivered as it
    is, without an answer.
    """

    kind: ClassVar[str] = "speak"
    model_config = ConfigDict(arbitrary_types_allowed=True)

    seat: Seat
    protocol: Protocol
    to: tuple[str, ...]
    """Who hears it."""
    turns: list[dict[str, str]]
    """The prompt, its last turn the user's."""
    most: int
    """Most tokens of a message."""
    calls: int
    """Most calls of tools."""
    failures: SkipValidation[dict[str, LaconicError]]
    """Where a failure is put, by the path of this node: those who spoke at the same time keep their turns. Not
    validated, since pydantic would put a copy in its place."""

    async def run(self, ctx: Context) -> Utterance:
        """A call of the model, more after each tool, and one more for a repair."""
        ctx.agent = self.seat.name
        try:
            said = await self.utterance(ctx)
        except LaconicError as error:
            self.failures[ctx.path] = error
            raise
        except Exception as error:  # a protocol is other people's code
            self.failures[ctx.path] = NodeError(f"{ctx.path} failed: {type(error).__name__}: {error}", path=ctx.path)
            raise
        ctx.note(f"{self.seat.name} -> {', '.join(self.to)}: {' / '.join(said.text.splitlines())}")
        return said

    async def utterance(self, ctx: Context) -> Utterance:
        """What the agent says to `turns`."""
        return await self.message(ctx, self.turns, self.most)

    async def message(self, ctx: Context, prompt: Sequence[dict[str, str]], most: int) -> Utterance:
        """One message of at most `most` tokens, after as many calls of tools as the agent is allowed and wants."""
        turns = list(prompt)
        said = await self._asked(ctx, turns, "message", most)
        for _ in range(self.calls):
            wanted = called(said.text) if self.seat.tools else None
            if wanted is None:
                break
            turns += [turn("assistant", as_data(said.text).strip()), turn("user", await self._result(ctx, wanted))]
            said = await self._asked(ctx, turns, "message", most)
        try:
            return self._delivered(said, self.protocol.parse(said.text))
        except MessageError as error:
            ctx.note(f"repaired: {error}")
            turns += [
                turn("assistant", as_data(said.text).strip()),
                turn("user", f"That cannot be used: {indented(str(error))}. Write it again."),
            ]
        said = await self._asked(ctx, turns, "repair", most)
        try:
            return self._delivered(said, self.protocol.parse(said.text))
        except MessageError as error:
            ctx.note(f"delivered as it is: {error}")
            return Utterance(said.text.strip(), None, False, said.usage.completion)

    async def _result(self, ctx: Context, wanted: str) -> str:
        """What a call of a tool gave, as data: no text from outside can end the turn."""
        call = read_call(wanted, self.seat.tools)
        if call is None:
            return f"Result: a call is written as {CALL} tool[input]"
        returned = await call_tool(ctx, self.seat.tools, call.tool, call.argument, most_tokens=RESULT_TOKENS)
        return f"Result: {indented(returned.text)}"

    def _delivered(self, said: Completion, content: Content) -> Utterance:
        return Utterance(self.protocol.encode(content), content.answer, True, said.usage.completion)

    async def _asked(self, ctx: Context, turns: list[dict[str, str]], purpose: str, most: int) -> Completion:
        how: dict[str, Any] = {}
        if not self.seat.tools:
            how["schema"] = self.protocol.form()
        return await ctx.complete(turns, model=self.seat.model, purpose=purpose, max_tokens=most, **how)


def called(text: str) -> str | None:
    """What stands behind the first `Call:` that begins a line; None if nothing is called."""
    for line in text.splitlines():
        if line.strip().startswith(CALL):
            return line.strip().removeprefix(CALL).strip()
    return None


def turn(role: str, content: str) -> dict[str, str]:
    """One turn of a chat."""
    return {"role": role, "content": content}
