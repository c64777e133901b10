"""How an item appears in a prompt: as data that can neither pose as another item nor end the turn."""

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
    return _MARKS.sub(lambda mark: f"{mark[0]} " if mark[0] != ">" else " >", text)


def entry(number: int, text: str) -> str:
    """One item of a batch. Its further lines are indented, so none can begin as another item does."""
    lines = as_data(text).splitlines() or [""]
    return "\n".join([f"Input {number}: {lines[0]}", *(f"  {line}" for line in lines[1:])])
