"""Reader: one of two models on an answer, and the token ids by which it knows what is written so far.

What it wrote itself it keeps as the very tokens that it wrote, since to tokenize their text anew may give others. What
the other one wrote it takes over as ids where both have the same tokens, and else as text, between whole characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import NodeError
from .pieces import Piece

if TYPE_CHECKING:
    from ..orchestrator.context import Context
    from .two_models import Turns

ALTERNATIVES = 20
"""How many of the likeliest tokens a model is asked for, where its server gives so many."""
PROBE = (
    "Größe 🙂 naïve — 日本語 ☕ Привет العالم <think> internationalization 12345.50\n\n"
    "    def f(x):\n\t\treturn {'a': [x] * 10}  # qu'est-ce?;\n"
)
"""A text that models with different tokens cut differently."""
HOW = {"return_token_ids": True, "include_stop_str_in_output": True}
"""What a server is asked for that knows it: vLLM."""


class Reader:
    """A model that goes on with an answer."""

    def __init__(self, ctx: Context, role: str, turns: Turns) -> None:
        """`turns`: what is asked. Nothing is asked of the model yet."""
        self.role = role
        self.alternatives = ALTERNATIVES
        self.extra: dict[str, Any] = {}
        self.trimmed = True
        """Whether its server takes the stop string out of the text."""
        self._ctx = ctx
        self._turns = turns
        self._ids: list[int] | None = None
        self._unread: list[tuple[Piece, bool]] = []

    async def start(self) -> None:
        """Find out what its server can, and its tokens of the prompt, unless that was done. Raises NodeError."""
        if self._ids is not None:
            return
        facts = await self._ctx.facts(self.role)
        counted = await self._ctx.count(self._turns, model=self.role)
        if counted.ids is None:
            raise NodeError(
                f"the server of the model in the role {self.role!r} does not tell the tokens of a prompt, so that no "
                "answer can be gone on with; `step_route` needs models on vLLM or llama.cpp, or in this process",
                path=self._ctx.path,
            )
        self.alternatives = min(ALTERNATIVES, facts.most_logprobs or ALTERNATIVES)
        self.extra = {field: value for field, value in HOW.items() if facts.knows(field, chat=False)}
        self.trimmed = "include_stop_str_in_output" not in self.extra
        self._ids = list(counted.ids)

    def add(self, written: Sequence[Piece], *, own: bool) -> None:
        """Take in what stands in the answer now; `own`: this model wrote it."""
        self._unread += [(piece, own) for piece in written]

    async def prompt(self, draft: Sequence[Piece], *, own: bool, shared: bool) -> list[int]:
        """The tokens to go on from: all that was taken in, and `draft`, of which it is not certain yet that it stands.

        `shared`: whether the ids of the model that wrote the rest mean the same to this one.
        """
        await self.start()
        assert self._ids is not None
        self._ids += await self._read(self._unread, shared=shared)
        self._unread = []
        return self._ids + await self._read([(piece, own) for piece in draft], shared=shared)

    async def _read(self, written: Sequence[tuple[Piece, bool]], *, shared: bool) -> list[int]:
        ids: list[int] = []
        text = ""
        for piece, own in written:
            if piece.ids is None or not (own or shared):
                text += piece.text
                continue
            ids += [*await self._ctx.tokens(text, model=self.role), *piece.ids]
            text = ""
        return ids + list(await self._ctx.tokens(text, model=self.role))


async def same_tokens(ctx: Context, one: str, other: str) -> bool:
    """Whether the models in two roles mean the same by token ids, as far as can be told."""
    known = [(await ctx.facts(role)).vocabulary for role in (one, other)]
    if None not in known:
        return known[0] == known[1]
    return await ctx.tokens(PROBE, model=one) == await ctx.tokens(PROBE, model=other)
