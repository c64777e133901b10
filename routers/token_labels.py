"""`kind: token_labels`: which of the small model's tokens would lead an answer of the large one elsewhere.

What a router of tokens learns from, made as R2R does it (Fu et al., 2025, arXiv 2505.21600): the large model answers,
the small one reads the answer once, and where it would have chosen another token the large one goes on from that, to be
held against what it wrote itself.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from pydantic import Field

from ..backends.request import Completion
from ..backends.tokenizers import FileTokenizer
from ..backends.transformers.labels import (
    DIVERGENT,
    IDENTICAL,
    NEUTRAL,
    UNJUDGED,
    Question,
    count_labels,
    load_features,
    prompt_digest,
    save_labels,
)
from ..errors import NodeError
from ..orchestrator.node import ModelRole, Node, kind
from ..orchestrator.template import Template
from .token_judges import SENTENCE_ENDS, Judge, same, sentence
from .two_models import facts_of_both, turns

if TYPE_CHECKING:
    from ..backends.backend import ServerFacts
    from ..orchestrator.context import Context


@kind("token_labels")
class TokenLabels(Node):
    """The labels of the tokens of one answer, in a file of the folder; the value says how many there are of each.

    A question that is in the folder already is not asked again.
    """

    prompt: Template = Field(description="What the models are asked.")
    system: Template | None = Field(default=None, description="The system message.")
    small: ModelRole = Field(default="small", description="The role whose tokens are labelled.")
    large: ModelRole = Field(default="large", description="The role that answers, and goes on from either token.")
    folder: Path = Field(description="Where the labels go; relative to the flow's folder.")
    judge: Judge = Field(
        default="exact",
        description="Who says whether two continuations say the same: exact (the same numbers, or without any the same "
        "words), model (the large one, by one token), answer (both to the end, the same short answer).",
    )
    most: int = Field(
        default=40, ge=1, description="Mismatches that are judged of a question; drawn if there are more."
    )
    sentence_tokens: int = Field(
        default=64, ge=2, description="Most tokens of a continuation to the end of a sentence."
    )
    seed: int = Field(default=0, description="What decides which mismatches are drawn.")
    max_tokens: int = Field(default=512, ge=1, description="Most tokens of the answer.")

    async def run(self, ctx: Context) -> dict[str, Any]:
        """Calls with the purposes `answer`, `features`, `continue` and `judge`. Raises NodeError and BackendError."""
        small, large = await facts_of_both(ctx, self.small, self.large)
        if small.weights is None or large.weights is None:
            raise NodeError(
                "labels are for models in safetensors only: of others nobody can tell later which they were"
            )
        asked = turns(ctx, self.prompt, self.system)
        prompt = await ctx.token_ids(asked, model=self.large)
        vocabulary = large.vocabulary or ""
        question = Question(
            item=ctx.item,
            small=small.weights,
            large=large.weights,
            vocabulary=vocabulary,
            judge=self.judge,
            prompt=prompt_digest(vocabulary, prompt),
        )
        path = ctx.flow.base / self.folder / f"{self._key(question)}.labels"
        if not path.is_file():
            answer = await self._asked(ctx, prompt, "answer", self.max_tokens)
            # What comes behind the last token of a full context is of no interest.
            read = [*prompt, *(answer.token_ids or ())][: max(len(prompt), _room(small, ()) - 1)]
            features = await self._features(ctx, read, len(prompt), path)
            answered = _Answered(asked[-1]["content"], prompt, answer, features, large)
            labels = await self._labels(ctx, answered, path.stem)
            await asyncio.to_thread(save_labels, path, features, labels, question)
        counts = await asyncio.to_thread(count_labels, path)
        ctx.note(", ".join(f"{number} {name}" for name, number in counts.items()))
        return {"file": path.name, **counts}

    def _key(self, question: Question) -> str:
        """What a question's file is called: the same for what gives the same labels."""
        how = (self.max_tokens, self.most, self.sentence_tokens, self.seed)
        said = msgspec.json.encode((msgspec.structs.replace(question, item=""), how))
        return blake2b(said, digest_size=12).hexdigest()

    async def _asked(
        self, ctx: Context, ids: Sequence[int], purpose: str, most: int, stop: Sequence[str] = ()
    ) -> Completion:
        """The large model going on with these tokens, by its likeliest ones."""
        return await ctx.complete(
            prompt_token_ids=ids, model=self.large, purpose=purpose, max_tokens=most, stop=stop, temperature=0.0
        )

    async def _features(self, ctx: Context, read: Sequence[int], start: int, path: Path) -> dict[str, Any]:
        """What the small model thinks at each place of the answer, which starts at `start` of what it reads."""
        # A name of its own: the store must not answer, and another node may be at an equal question.
        file = path.with_name(f"{path.stem}-{uuid4().hex}.features").resolve()
        try:
            await ctx.complete(
                prompt_token_ids=read,
                model=self.small,
                purpose="features",
                max_tokens=1,
                extra={"features": {"file": str(file), "start": start}},
            )
            return await asyncio.to_thread(load_features, file)
        finally:
            file.unlink(missing_ok=True)

    async def _labels(self, ctx: Context, answered: _Answered, key: str) -> list[int]:
        """Mismatches stay UNJUDGED that are not drawn, or where the large model did not get to the end of anything."""
        labels = [IDENTICAL if same else UNJUDGED for same in answered.same]
        cap, to_the_end = self._compared
        mismatches = [
            place for place, same in enumerate(answered.same) if not same and answered.has_rest(place, cap, to_the_end)
        ]
        if len(mismatches) > self.most:
            mismatches = sorted(random.Random(f"{self.seed}/{key}").sample(mismatches, self.most))
        judged = await asyncio.gather(
            *(self._judged(ctx, answered, place) for place in mismatches),
            return_exceptions=True,  # so that none is left behind in the air
        )
        for place, label in zip(mismatches, judged, strict=True):
            if isinstance(label, BaseException):
                raise label
            labels[place] = label
        return labels

    @property
    def _compared(self) -> tuple[int, bool]:
        """Most tokens of what is compared, and whether that is the whole rest of an answer."""
        return (self.max_tokens, True) if self.judge == "answer" else (self.sentence_tokens, False)

    async def _judged(self, ctx: Context, answered: _Answered, place: int) -> int:
        """The label of a mismatch; UNJUDGED where its token leads to nothing that can be compared."""
        cap, to_the_end = self._compared
        if answered.chosen[place] in answered.ends:
            theirs: str | None = ""
        else:
            theirs = await (self._to_the_end if to_the_end else self._sentence)(ctx, answered, place)
        if theirs is None:
            return UNJUDGED
        ours = answered.rest(place, cap, to_the_end)
        before = answered.text(answered.wrote[:place])
        alike = await same(ctx, self.judge, answered.question, before, ours, theirs, self.large)
        return NEUTRAL if alike else DIVERGENT

    async def _to_the_end(self, ctx: Context, answered: _Answered, place: int) -> str | None:
        """The rest of an answer with the small model's token at a place; None if it comes to no end."""
        ids = [*answered.prompt, *answered.wrote[:place], answered.chosen[place]]
        most = min(max(1, self.max_tokens - place - 1), _room(answered.large, ids))
        if most < 1:
            return None
        said = await self._asked(ctx, ids, "continue", most)
        whole = said.finish_reason == "stop"
        return answered.text([answered.chosen[place], *(said.token_ids or ())]) if whole else None

    async def _sentence(self, ctx: Context, answered: _Answered, place: int) -> str | None:
        """The sentence that begins with the small model's token, as far as the cap lets it come.

        None if that is blank, or if the context ends before it.
        """
        before = [*answered.prompt, *answered.wrote[:place]]
        new = [answered.chosen[place]]
        left = self.sentence_tokens - 1
        text, ended = sentence(answered.text(new))
        while left and not ended:
            most = min(left, _room(answered.large, [*before, *new]))
            if most < 1:
                return None
            said = await self._asked(ctx, [*before, *new], "continue", most, SENTENCE_ENDS)
            new += said.token_ids or ()
            left -= len(said.token_ids or ())
            text, ended = sentence(answered.text(new))
            # A line's end before the first word stops a call, but no sentence.
            ended = ended or not said.token_ids or (bool(text) and said.finish_reason == "stop")
        return text if text or ended else None


class _Answered:
    """An answer of the large model, and what the small one would have chosen at each of its places.

    The place behind the last token is one of them if the large model ended the answer there.
    """

    def __init__(
        self,
        question: str,
        prompt: Sequence[int],
        answer: Completion,
        features: dict[str, Any],
        large: ServerFacts,
    ) -> None:
        self.question = question
        self.prompt = prompt
        self.large = large
        self.wrote = answer.token_ids or ()
        self.ended = answer.finish_reason == "stop"
        self.ends = frozenset(features["ends"].tolist())
        self.chosen: list[int] = features["token"].tolist()[: len(self.wrote) + self.ended]
        self.same = [
            token == self.wrote[place] if place < len(self.wrote) else token in self.ends
            for place, token in enumerate(self.chosen)
        ]
        self._tokenizer = _tokenizer(large.root or "")

    def text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids)

    def rest(self, place: int, cap: int, to_the_end: bool) -> str:
        """What the large model wrote from a place on, to the end of all or of the sentence, in at most `cap` tokens."""
        return self.text(self.wrote[place:]) if to_the_end else sentence(self.text(self.wrote[place : place + cap]))[0]

    def has_rest(self, place: int, cap: int, to_the_end: bool) -> bool:
        """Whether the large model got so far."""
        if self.ended or to_the_end:
            return self.ended
        return place + cap <= len(self.wrote) or sentence(self.text(self.wrote[place:]))[1]


def _room(model: ServerFacts, ids: Sequence[int]) -> int:
    """How many tokens fit in a model's context behind these."""
    return (model.context or sys.maxsize) - len(ids)


@lru_cache(maxsize=4)
def _tokenizer(folder: str) -> FileTokenizer:
    return FileTokenizer(folder)
