"""A text from outside as it is shown in a prompt: as data that cannot end the turn, in one line, cut at a length."""

from __future__ import annotations

import re

_MARKS = re.compile(
    r"<(?=[|｜])|(?<=[|｜])>"  # <|im_start|>, <|eot_id|>, <｜User｜>
    r"|<(?=/?(?:s|bos|eos|pad|unk|think|start_of_turn|end_of_turn|sys)>)"
    r"|(?<=<)<(?=/?SYS>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)
"""Where the separators of chat templates begin or end. Servers read them as the end of a turn even inside a text."""


def as_data(text: str) -> str:
    """`text` with the separators of chat templates broken by a space, so that they are words like any other."""
    whole = text.encode("utf-8", "replace").decode()  # half a surrogate pair, as broken documents have, is no text
    return _MARKS.sub(lambda mark: f"{mark[0]} " if mark[0] != ">" else " >", whole)


def one_line(text: str) -> str:
    """`text` with every run of whitespace (line breaks of all kinds too) made one space."""
    return " ".join(text.split())


def shorten(text: str, most: int) -> str:
    """`text` in at most `most` characters, cut after a whole word where there is one, "…" showing the cut."""
    if len(text) <= most:
        return text
    head = text[:most]
    kept, space, _ = head.rpartition(" ")
    return f"{kept.rstrip(' ,;:–-') if space else head[:-1]}…"
