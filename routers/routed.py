"""Routed: an answer that two models wrote together, and who wrote what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Writer = Literal["small", "large"]


class Span(msgspec.Struct, frozen=True):
    """A stretch of the answer that one model wrote."""

    by: Writer
    text: str
    tokens: int


class Share(msgspec.Struct, frozen=True):
    """What one of the two models did for an answer, in tokens."""

    written: int = 0
    """In the answer; the one that ends it, which has no text, is not counted."""
    replaced: int = 0
    """Generated and not in the answer, since the other model was asked instead, or cut off in a character."""
    read: int = 0
    """Computed of prompts: what it had not read before; none of a call that the store answered."""
    calls: int = 0


class Routed(str):
    """The answer. In a template `{{ answer }}` is its text, `{{ answer.large.written }}` what the large model wrote."""

    spans: tuple[Span, ...]
    small: Share
    large: Share
    router_parameters: int
    """Of the network that looked at each token of the small model; 0 if none did. It generates no tokens."""

    def __new__(cls, spans: Sequence[Span], small: Share, large: Share, router_parameters: int = 0) -> Routed:
        """The answer that consists of these stretches."""
        routed = super().__new__(cls, "".join(span.text for span in spans))
        routed.spans = joined(spans)
        routed.small = small
        routed.large = large
        routed.router_parameters = router_parameters
        return routed

    def __reduce__(self) -> tuple[type[Routed], tuple[Sequence[Span], Share, Share, int]]:
        """What a copy is made of."""
        return type(self), (self.spans, self.small, self.large, self.router_parameters)

    @property
    def share(self) -> float:
        """The part of the answer's tokens that the large model wrote, 0 to 1."""
        return self.large.written / max(1, self.small.written + self.large.written)


def joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same with neighbours of one model as one."""
    whole: list[Span] = []
    for span in spans:
        if whole and whole[-1].by == span.by:
            last = whole.pop()
            span = Span(span.by, last.text + span.text, last.tokens + span.tokens)
        if span.tokens:
            whole.append(span)
    return tuple(whole)
