"""Text on its way to a terminal."""

from __future__ import annotations

_HARMLESS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "␡"}
_HARMLESS |= dict.fromkeys(range(0x80, 0xA0), "·")


def harmless(text: str) -> str:
    """`text` without control characters: what a model or tool wrote must not steer a terminal."""
    return text.translate(_HARMLESS)


def one_line(text: str, most: int = 160) -> str:
    """`text` on one line of at most `most` characters."""
    line = harmless(" ".join(text.split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def laid_out(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, its spaces kept, for the columns of a table."""
    line = harmless(" ".join(text.splitlines()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def well_formed(text: str) -> str:
    """`text` with a question mark for each half of a surrogate pair, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
