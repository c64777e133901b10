"""Whether two short answers, or two sentences, say the same."""

from __future__ import annotations

import re
import string
from fractions import Fraction

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"([+-]?)[$€£]?((?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{1,40})?|\.\d{1,40})(%?)")
_NUMERAL = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
_WRITTEN = re.compile(
    r"(?:(?<![\w.,)\]])[+\-\N{MINUS SIGN}])?[$€£]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,40})(?:\.\d{1,40})?%?"
)
"""A number in a text. In `10-5` and `1990-1995` the dash is no sign."""
CLOSE = Fraction(1, 10**6)
"""Numbers that differ by no more than this part of the larger are the same: one of them was rounded."""


def normalise(text: str) -> str:
    """An answer as SQuAD and HotpotQA compare it: lower case, without punctuation, articles and extra white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def same_answer(one: str, other: str) -> bool:
    """Whether both are the same number (`1,200`, `$1200.00`), or the same words with the same numbers among them.

    An answer without a word or a number agrees with none.
    """
    numbers = as_number(one), as_number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return same_number(numbers[0], numbers[1])
    words = normalise(one)
    return bool(words) and words == normalise(other) and _numerals(one) == _numerals(other)


def last_number(text: str) -> str:
    """The last number in a text as it is written there, which is where a calculation ends; empty without any."""
    found = _WRITTEN.findall(text)
    return found[-1].replace("\N{MINUS SIGN}", "-") if found else ""


def same_number(one: Fraction, other: Fraction) -> bool:
    """Whether they are equal, or one of them was rounded; whole numbers are not."""
    if one.denominator == other.denominator == 1:
        return one == other
    return abs(one - other) <= CLOSE * max(abs(one), abs(other))


def same_statement(one: str, other: str) -> bool:
    """Whether two sentences have the same numbers in the same order, or, where there are none, the same words."""
    numbers = _numerals(one), _numerals(other)
    return numbers[0] == numbers[1] and (bool(numbers[0]) or normalise(one) == normalise(other))


def _numerals(text: str) -> list[Fraction | str]:
    """The numbers in a text, whose points and signs `normalise` takes away: `1.5 m` is not `15 m`."""
    return [number if (number := as_number(found)) is not None else found for found in _NUMERAL.findall(text)]


def as_number(text: str) -> Fraction | None:
    """The number that `text` consists of, with or without thousands marks, a currency or a percent sign; else None."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    return Fraction(match[1] + match[2].replace(",", "")) / (100 if match[3] else 1)
