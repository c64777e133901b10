"""Arithmetic without a rounding error, and without `eval`.

The text is taken apart into numbers and operators; Python's own parser (`ast`) then says what binds to what, and only
the operators named here are carried out, on fractions. Whatever is asked, the result or the refusal comes at once:
the length of the text and the size of every intermediate result are capped.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from fractions import Fraction

from ..errors import ToolError
from .numerals import read_number, show_number

MOST_CHARS = 2000
"""Longest expression, in characters."""
MOST_DEPTH = 50
"""Most parentheses inside each other."""
MOST_DIGITS = 1000
"""Most digits of a numerator or denominator, in the text and on the way to the result."""

_MOST_BITS = int(MOST_DIGITS * math.log2(10))
_TOO_LARGE = f"the calculation needs a number of more than {MOST_DIGITS:,} digits"
_READABLE = "it reads numbers, + - * / // % ** and parentheses, no words or units"
_SPELLINGS = str.maketrans("×·⋅∗÷∕−–\u00a0\u2009\u202f", "****//--   ")
_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d*)?|\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<percent_of>%\s*of\b)"
    r"|(?P<percent>%(?=\s*(?:$|[-+*/%^)])))"
    r"|(?P<times>(?<=[\s)])[xX](?=[\s(]))"
    r"|(?P<power>\^)"
    r"|(?P<operator>\*\*|//|[-+*/%()])"
    r"|(?P<space>\s+)",
    re.ASCII,
)


def calculate(expression: str) -> str:
    """The value of an arithmetic expression, as text. Raises ToolError saying what cannot be read or computed."""
    if len(expression) > MOST_CHARS:
        raise ToolError(
            f"the expression has {len(expression):,} characters; the calculator takes {MOST_CHARS:,} at most"
        )
    text = re.sub(r"=[\s?]*$", "", expression).translate(_SPELLINGS)
    source, numbers = _read(text.replace("≈", " "))
    if not numbers:
        raise ToolError(f"there is nothing to compute in {_excerpt(expression)}: no number")
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:  # the last two: nested too deeply for the parser
        raise ToolError(f"{_excerpt(expression)} is not a complete arithmetic expression") from error
    return show_number(_evaluate(tree, numbers), rounded="≈" in text)


def _read(text: str) -> tuple[str, dict[str, Fraction]]:
    """`text` as an expression for `ast`, and the numbers in it.

    Each number becomes a name, and a percent sign the attribute `percent`, because they bind as tightly as that.
    """
    numbers: dict[str, Fraction] = {}
    parts: list[str] = []
    depth = place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ToolError(_unreadable(text, place))
        place = match.end()
        token = match[0]
        match match.lastgroup:
            case "number":
                name = f"n{len(numbers)}"
                numbers[name] = _fitting(read_number(token, MOST_DIGITS))
                token = f" {name} "
            case "percent":
                token = ".percent "
            case "percent_of":
                token = ".percent * "
            case "times":
                token = "*"
            case "power":
                token = "**"
            case "space":
                token = " "
            case _:
                depth += (token == "(") - (token == ")")
        if depth > MOST_DEPTH:
            raise ToolError(f"the expression has more than {MOST_DEPTH} parentheses inside each other")
        parts.append(token)
    return "".join(parts).strip(), numbers


def _unreadable(text: str, place: int) -> str:
    word = re.match(r"\w+|.", text[place:], re.DOTALL)
    what = repr(word[0][:30]) if word else ""
    if text[place] == ",":
        return f"the calculator cannot read the comma in {_excerpt(text)}; only 1,234,567 is a number with commas"
    return f"the calculator cannot read {what} in {_excerpt(text)}; {_READABLE}"


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:59]}…")


def _evaluate(tree: ast.expr, numbers: dict[str, Fraction]) -> Fraction:
    """The value of `tree`, from the leaves up; without recursion, so that no depth is too deep."""
    order: list[ast.expr] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        order.append(node)
        match node:
            case ast.BinOp(left=left, right=right):
                pending += (left, right)
            case ast.UnaryOp(operand=inner) | ast.Attribute(value=inner):
                pending.append(inner)
            case ast.Name():
                pass
            case _:
                raise ToolError("every multiplication needs its *, and every parenthesis a content")
    values: list[Fraction] = []
    for node in reversed(order):
        match node:
            case ast.Name(id=name):
                values.append(numbers[name])
            case ast.BinOp(op=op):
                second = values.pop()
                values.append(_fitting(_BINARY[type(op)](values.pop(), second)))
            case ast.UnaryOp(op=ast.USub()):
                values.append(-values.pop())
            case ast.Attribute():
                values.append(_fitting(values.pop() / 100))
    return values.pop()


def _fitting(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        raise ToolError(_TOO_LARGE)
    return value


def _dividing(divide: Callable[[Fraction, Fraction], Fraction | int]) -> Callable[[Fraction, Fraction], Fraction]:
    def checked(left: Fraction, right: Fraction) -> Fraction:
        if not right:
            raise ToolError("division by zero")
        return Fraction(divide(left, right))

    return checked


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """`base ** exponent`, its size known before it is computed."""
    if not base and exponent < 0:
        raise ToolError("division by zero: 0 to a negative power")
    if exponent.denominator != 1:
        base = _root(base, exponent.denominator)
    times = exponent.numerator
    if abs(base) in (0, 1):
        return base ** (2 - times % 2) if times else Fraction(1)
    size = max(abs(base.numerator), base.denominator)
    if abs(times) > _MOST_BITS or abs(times) * math.log2(size) > _MOST_BITS:
        raise ToolError(_TOO_LARGE)
    return Fraction(base**times)


def _root(value: Fraction, degree: int) -> Fraction:
    """The positive root of `value`, if it is a fraction."""
    if value >= 0:
        top, bottom = (_whole_root(part, degree) for part in (value.numerator, value.denominator))
        if top is not None and bottom is not None:
            return Fraction(top, bottom)
    raise ToolError("a root in the expression is not an exact number; the calculator takes only exact roots")


def _whole_root(value: int, degree: int) -> int | None:
    """The integer whose power is `value`, by bisection; None if there is none."""
    if value < 2:
        return value
    if degree >= value.bit_length():
        return None  # even 2 ** degree is larger
    low, high = 1, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low if low**degree == value else None


_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _dividing(operator.truediv),
    ast.FloorDiv: _dividing(operator.floordiv),
    ast.Mod: _dividing(operator.mod),
    ast.Pow: _power,
}
