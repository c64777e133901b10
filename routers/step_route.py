"""`kind: step_route`: over servers, a small model writes step by step, and a large one where it is in doubt.

After R2R (Fu et al., 2025, arXiv 2505.21600), for models that can only be asked over the wire. A call for every token
would cost more than it saves, so a call of the small model writes up to a step's end, and its logprobs say which of the
tokens were doubtful. Any two models can work together: each goes on from its own token ids (`reader.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import Field

from ..backends.doubt import OF_LOGPROBS, chance
from ..backends.request import TokenLogprob
from ..errors import BudgetExceeded, NodeError
from ..orchestrator.node import kind
from .pieces import Piece, pieces, tokens_in
from .reader import Reader, same_tokens
from .routed import Span, Writer
from .steps import STOPS, Kind, Step, stops_in
from .threshold import threshold
from .two_models import Turns
from .two_writers import TwoWriters, Writing

if TYPE_CHECKING:
    from ..accounting.call import Call
    from ..orchestrator.context import Context

ABOVE: Mapping[str, float] = {"entropy": 1.5, "margin": 0.95, "random": 0.5}
"""The usual thresholds: of a step's many tokens, the most doubtful counts."""


@kind("step_route")
class StepRoute(TwoWriters):
    """The answer of two models, written in steps: the small model's, or the large one's where the small is in doubt.

    Both report logprobs and token ids, as vLLM and llama.cpp do. They need not have the same tokens.
    """

    step: Kind = Field(default="sentence", description="What a step is: a line, a sentence or a statement of code.")
    step_tokens: int = Field(
        default=64, ge=8, description="Tokens after which what is written counts as a step, ended or not."
    )
    by: Literal["entropy", "margin", "random"] = Field(
        default="entropy",
        description="How doubtful a token is, by the likeliest tokens that the server reports; or chance, by the step.",
    )
    above: float | None = Field(
        default=None,
        description="A step is doubtful from its first token on that has more doubt: .inf for never, -.inf for always. "
        "By default 1.5 for entropy, 0.95 for margin, 0.5 for random.",
    )
    on_doubt: Literal["continue", "rewrite"] = Field(
        default="continue",
        description="What the large model does with a doubtful step: continue it from the doubtful token on, or "
        "rewrite it from its beginning.",
    )

    async def _begin(self, ctx: Context, turns: Turns) -> _Steps:
        small, large = Reader(ctx, self.small, turns), Reader(ctx, self.large, turns)
        await small.start()
        return _Steps(self, ctx, turns, small, large)


class _Said(msgspec.Struct):
    """What a model wrote in one call."""

    call: Call
    pieces: list[Piece]
    entries: Sequence[TokenLogprob]
    """All tokens that were generated, those that are in no piece included."""
    ends: bool
    """Whether it ended the answer."""
    doubtful: int | None = None
    """Which of its tokens is the first doubtful one."""

    @property
    def stands(self) -> list[Piece]:
        """The pieces before the doubtful token."""
        if self.doubtful is None:
            return self.pieces
        ends = accumulate(piece.tokens for piece in self.pieces)
        return [piece for piece, end in zip(self.pieces, ends, strict=True) if end <= self.doubtful]

    @property
    def lost(self) -> int:
        """Tokens in no piece, but for the one that ends the answer."""
        return max(0, len(self.entries) - tokens_in(self.pieces) - self.ends)


class _Steps(Writing[StepRoute]):
    """An answer while it is written."""

    def __init__(self, node: StepRoute, ctx: Context, turns: Turns, small: Reader, large: Reader) -> None:
        super().__init__(node, ctx, turns, threshold(node.by, node.above, node.share, ABOVE[node.by]))
        self.readers: dict[Writer, Reader] = {"small": small, "large": large}
        self.shared: bool | None = None
        """Whether both have the same tokens; found out when one has to read the other for the first time."""
        self.drafts: list[_Said] = []
        """What the small model has written of the step that is under way."""
        self.steps = 0

    async def whole(self) -> None:
        """Write step by step until one of the models ends the answer, or it is as long as it may be."""
        goes_on = True
        while goes_on and self.left:
            self.steps += 1
            try:
                goes_on = await self._step()
            except BudgetExceeded:
                self._accept()  # doubtful perhaps, and better than nothing
                raise

    async def _step(self) -> bool:
        """Write a step. False if the answer ends with it."""
        if self.threshold.above == -math.inf or await self._doubted():
            return await self._by_large()
        return self._accept()

    async def _doubted(self) -> bool:
        """Let the small model write a step, in as many calls as it takes; whether it came to a doubtful token."""
        step = self._new_step()
        while not step.ended:
            said = await self._ask("small", "draft", [piece for draft in self.drafts for piece in draft.pieces], step)
            said.doubtful = self._doubtful(said.entries)
            self.drafts.append(said)
            if said.doubtful is not None:
                return True
            if said.ends or not said.pieces:
                return False
            step.add(said.pieces)
        return False

    def _doubtful(self, entries: Sequence[TokenLogprob]) -> int | None:
        above, by = self.threshold.above, self.node.by
        if above == math.inf:
            return None
        if by == "random":
            return 0 if not self.drafts and chance(self.seed, self.steps) > above else None
        doubt = OF_LOGPROBS[by]
        for number, entry in enumerate(entries):
            if doubt([logprob for _, logprob in entry.top]) > above:
                return number
        return None

    def _accept(self) -> bool:
        """Let the small model's step stand. False if the answer ends with it."""
        drafts, self.drafts = self.drafts, []
        written = [piece for draft in drafts for piece in draft.pieces]
        self._add("small", written)
        self.threshold.kept(tokens_in(written))
        for draft in drafts:
            self._lost("small", draft)
        return bool(written) and not drafts[-1].ends

    async def _by_large(self) -> bool:
        """Let the large model continue or rewrite the step. False if the answer ends with it."""
        rewrite = self.node.on_doubt == "rewrite"
        standing = [] if rewrite else [piece for draft in self.drafts for piece in draft.stands]
        self.doubted = [
            (draft.call, None if rewrite or not draft.stands else len(draft.entries) - tokens_in(draft.stands))
            for draft in self.drafts
        ]
        step = self._new_step()
        step.add(standing)
        while not step.ended:
            said = await self._of_large(self._ask("large", "decide", standing, step))
            if said is None:
                return self._accept() if self.drafts else True
            drafts, self.drafts = self.drafts, []
            self.replaced["small"] += sum(len(draft.entries) for draft in drafts) - tokens_in(standing)
            self._add("small", standing)
            standing = []
            self._add("large", said.pieces)
            self.threshold.replaced(tokens_in(said.pieces))
            self._lost("large", said)
            step.add(said.pieces)
            if said.ends or not said.pieces:
                return not said.ends and step.tokens > 0
        return True

    def _new_step(self) -> Step:
        return Step(self.node.step, min(self.node.step_tokens, self.left))

    def _lost(self, by: Writer, said: _Said) -> None:
        """Book the tokens of a call whose text is not known."""
        if said.lost:
            self.replaced[by] += said.lost
            self.ctx.discard_call(said.call, said.lost)

    def _add(self, by: Writer, written: Sequence[Piece]) -> None:
        """Have pieces stand in the answer."""
        self.spans += [Span(by, piece.text, piece.tokens) for piece in written]
        self.left -= tokens_in(written)
        for reading, reader in self.readers.items():
            reader.add(written, own=reading == by)

    async def _ask(self, by: Writer, purpose: str, draft: Sequence[Piece], step: Step) -> _Said:
        """Have a model go on after `draft`, to where the step may end. Raises NodeError if it tells no tokens."""
        reader, role = self.readers[by], self.roles[by]
        if by == "large" and self.shared is None:
            self.shared = await same_tokens(self.ctx, self.node.small, self.node.large)
        said = await self.ctx.complete(
            prompt_token_ids=await reader.prompt(draft, own=by == "small", shared=bool(self.shared)),
            model=role,
            purpose=purpose,
            max_tokens=step.room,
            stop=STOPS[step.kind],
            logprobs=reader.alternatives,
            extra=reader.extra,
            stream=True,  # llama.cpp tells the tokens of a stop string in a stream only
        )
        entries = said.logprobs or ()
        alone = by == "small" and self.node.by != "random" and not all(entry.top for entry in entries)
        if alone or not (entries or (said.finish_reason == "stop" and not said.text)):
            raise NodeError(
                f"the server of the model in the role {role!r} gave no logprobs of its tokens, though it was asked for "
                "them; `step_route` needs a server that reports them, as vLLM and llama.cpp do",
                path=self.ctx.path,
            )
        written = pieces(said, trimmed=reader.trimmed)
        stopped = stops_in("".join(piece.text for piece in written), step.kind)
        ends = said.finish_reason not in ("length", "cut", "unknown") and not stopped
        return _Said(self.ctx.latest_call(), written, entries, ends)
