"""Steps of an answer: lines, sentences or statements, and where one ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from .pieces import Piece, tokens_in

Kind = Literal["line", "sentence", "statement"]

STOPS: Mapping[Kind, tuple[str, ...]] = {
    "line": ("\n",),
    "sentence": (". ", "! ", "? ", "\n"),
    "statement": ("\n", ";"),
}
"""Where a model is to stop, since the step may end there."""
_CODE = re.compile(
    r'''(?P<text>"""(?:\\.|[^\\])*?(?:"""|\Z)|\'\'\'(?:\\.|[^\\])*?(?:\'\'\'|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)'''
    r"|(?P<comment>(?:\#|//)[^\n]*)|(?P<continued>\\\n)|(?P<open>[(\[])|(?P<close>[)\]])|(?P<end>[\n;])",
    re.DOTALL,
)
"""What matters to where a statement ends, in Python and in languages with semicolons alike."""


class Step(msgspec.Struct):
    """A step while it is written. What is blank is no step: it belongs to the one that follows."""

    kind: Kind
    most: int
    """Tokens after which it counts as a step, ended or not."""
    text: str = ""
    tokens: int = 0

    def add(self, written: Sequence[Piece]) -> None:
        """Go on with these."""
        self.text += "".join(piece.text for piece in written)
        self.tokens += tokens_in(written)

    @property
    def room(self) -> int:
        """How many tokens it may still take."""
        return self.most - self.tokens

    @property
    def ended(self) -> bool:
        """Whether it is a whole step."""
        if self.room <= 0:
            return True
        text = self.text.lstrip()
        return statement_ends(text) if self.kind == "statement" else stops_in(text, self.kind)


def stops_in(text: str, kind: Kind) -> bool:
    """Whether there is a stop in a text."""
    return any(stop in text for stop in STOPS[kind])


def statement_ends(code: str) -> bool:
    """Whether a statement ends somewhere: at a line's end or a semicolon, outside of strings and of ( ) and [ ].

    Braces are blocks in most languages: the lines in them are statements of their own.
    """
    depth = 0
    for found in _CODE.finditer(code):
        match found.lastgroup:
            case "open":
                depth += 1
            case "close":
                depth = max(0, depth - 1)
            case "end" if depth == 0 and code[: found.start()].strip():
                return True
    return False
