"""Numerals: exact numbers as text, read and shown."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from ..errors import ToolError

MOST_PLACES = 50
"""A decimal with more places than this is rounded, though it has an end."""
SIGNIFICANT = 12
"""Digits of a rounded number."""

_ROUNDING = Context(prec=SIGNIFICANT, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999)


def read_number(text: str, most_digits: int) -> Fraction:
    """The exact value of `1234`, `1,234.50`, `.5` or `2.5e-6`. Raises ToolError for more than `most_digits` digits."""
    mantissa, _, exponent = text.replace(",", "").lower().partition("e")
    if len(mantissa) > most_digits or abs(int(exponent or 0)) > most_digits:
        raise ToolError(f"a number in the expression has more than {most_digits:,} digits")
    return Fraction(f"{mantissa}e{exponent or 0}")


def show_number(value: Fraction, *, rounded: bool = False) -> str:
    """An integer, or a decimal that is exact; else, or if `rounded`, "≈ " and twelve significant digits."""
    places = _places(value.denominator)
    if rounded or places is None or places > MOST_PLACES:
        return f"≈ {_significant(value)}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def _places(denominator: int) -> int | None:
    """How many decimal places a fraction in lowest terms has; None if it has no end."""
    twos = (denominator & -denominator).bit_length() - 1
    denominator >>= twos
    fives = 0
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    return max(twos, fives) if denominator == 1 else None


def _significant(value: Fraction) -> str:
    quotient = _ROUNDING.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(_ROUNDING)
    return f"{quotient:f}" if -7 <= quotient.adjusted() < SIGNIFICANT else f"{quotient:e}"
