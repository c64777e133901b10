"""What a model call used, in tokens, as facts and unknowns.

`prompt` and `completion` have OpenAI's meaning: prompt includes cached tokens, completion includes reasoning. The parts
(`cache_read`, `cache_write`, `reasoning`) are what the server says of them. From these five follow the disjoint leaves
`uncached`, `cache_read`, `cache_write`, `visible` and `reasoning`, which add up to the total. Whatever the server did
not say is None: unknown is not zero, and a sum with an unknown in it is a lower bound (`accounting.totals.Total`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Source = Literal["server", "counted", "estimated"]
"""Where a figure comes from: reported by the server; counted by us with the model's own tokenizer on the exact text or
ids; or estimated because nothing better existed. An estimate is never mixed silently with a fact."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call. Immutable: nothing changes a usage after it was made.

    Invariants: `cache_read + cache_write <= prompt` and `reasoning <= completion` wherever both sides are known.
    """

    prompt: int | None = None
    """All prompt tokens, cached ones included."""
    completion: int | None = None
    """All generated tokens, reasoning included."""
    cache_read: int | None = None
    """Prompt tokens the server took from its prefix cache."""
    cache_write: int | None = None
    """Prompt tokens the server wrote to a cache that it bills (0 on local servers)."""
    reasoning: int | None = None
    """Generated tokens the server counts as reasoning."""
    source: Source = "server"

    @property
    def uncached(self) -> int | None:
        """Prompt tokens that were really computed and not billed as a cache write; None if the server did not tell."""
        if self.prompt is None or self.cache_read is None:
            return None
        return self.prompt - self.cache_read - (self.cache_write or 0)

    @property
    def visible(self) -> int | None:
        """Generated tokens that are part of the answer; a server that reports no reasoning generated none apart."""
        if self.completion is None:
            return None
        return self.completion - (self.reasoning or 0)

    @property
    def total(self) -> int | None:
        """Prompt and completion together; None if either is unknown."""
        if self.prompt is None or self.completion is None:
            return None
        return self.prompt + self.completion


NOTHING = Usage(0, 0, 0, 0, 0, "counted")
"""The usage of a call that certainly processed no token."""

UNKNOWN = Usage(None, None, None, None, None, "estimated")
"""The usage of a call of which nothing is known."""
