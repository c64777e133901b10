"""Pieces: which text of an answer is which tokens, so that it can be cut between two tokens and never in a character.

Servers report the text of an answer and, with logprobs, that of each token. The two differ: a token that is only a part
of a character has no text of its own, or U+FFFD; a tokenizer may drop a token's leading space; what follows a stop
string is not in the text of the answer, though its tokens were generated; nor is the token that ends it.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from ..backends.request import Completion, TokenLogprob

BROKEN = "\ufffd"
_utf8 = getincrementaldecoder("utf-8")


class Piece(msgspec.Struct, frozen=True):
    """Tokens that cannot be parted, and their text, which begins and ends with whole characters."""

    text: str
    tokens: int
    ids: tuple[int, ...] | None = None
    """None where they are not known, or not known to be those of this text and of nothing else."""


def pieces(said: Completion, *, trimmed: bool) -> list[Piece]:
    """The pieces that an answer with logprobs consists of; tokens at its end that have no text are in none.

    `trimmed`: whether the server takes the stop string away; it is then put back, as far as its tokens go.
    """
    text, tokens = said.text, texts(said.logprobs or ())
    parted: list[tuple[str, int]] = []
    at = since = 0
    for number, token in enumerate(tokens):
        end = _end(text, at, token, tokens[since:number])
        if end is not None:
            parted.append((text[at:end], number + 1 - since))
            at, since = end, number + 1
    tail, certain = _tail(text[at:], tokens[since:], trimmed=trimmed)
    parted += tail
    # In a stream of llama.cpp a token is missing that does not end a character.
    whole = said.usage.completion in (None, len(tokens)) and len(said.token_ids or ()) == len(tokens)
    ids = said.token_ids if whole else None
    ends = list(accumulate(number for _, number in parted))
    known = [None if ids is None else ids[end - number : end] for end, (_, number) in zip(ends, parted, strict=True)]
    if not certain:
        known[-1] = None
    return [Piece(shown, number, of) for (shown, number), of in zip(parted, known, strict=True)]


def tokens_in(written: Sequence[Piece]) -> int:
    """How many tokens pieces have."""
    return sum(piece.tokens for piece in written)


def texts(entries: Sequence[TokenLogprob]) -> list[str]:
    """What each token adds to the text; with the bytes known, a character is added by the token that ends it."""
    if not any(entry.raw for entry in entries):
        return [entry.token for entry in entries]
    decoder = _utf8("replace")
    return [decoder.decode(entry.raw or entry.token.encode()) for entry in entries]


def _end(text: str, at: int, token: str, before: Sequence[str]) -> int | None:
    """Where in `text` a token ends which follows on `at` and the tokens `before`; None if that is not certain."""
    if not token or BROKEN in token:
        return None
    if not any(before):
        return next((at + len(said) for said in (token, f" {token}") if text.startswith(said, at)), None)
    furthest = at + sum(len(other) + 1 for other in before)
    starts = [start for start in range(at, furthest + 1) if text.startswith(token, start)]
    return starts[0] + len(token) if len(starts) == 1 else None


def _tail(rest: str, tokens: Sequence[str], *, trimmed: bool) -> tuple[list[tuple[str, int]], bool]:
    """The pieces of the last tokens, of whose text only `rest` was shown; False if the last may be of other tokens."""
    found: list[tuple[str, int]] = []
    together = 0
    for token in tokens:
        together += 1
        if not token:
            continue
        whole = next((said for said in (token, f" {token}") if said.startswith(rest)), None)
        if BROKEN in token or whole is None:
            break
        if not rest and not trimmed:
            break
        found.append((whole, together))
        rest, together = "", 0
    if not rest:
        return found, True
    return [*found, (rest + (_taken(rest, tokens) if trimmed else ""), len(tokens))], False


def _taken(rest: str, tokens: Sequence[str]) -> str:
    """What was taken away behind `rest`, of the text of its last tokens: those behind a part of a character."""
    broken = max((number for number, token in enumerate(tokens) if BROKEN in token), default=len(tokens))
    clear = "".join(tokens[broken + 1 :])
    shown = next(end for end in range(len(clear), -1, -1) if rest.endswith(clear[:end]))
    return clear[shown:]
