"""The sample of messages to a shop, and the flow that sorts them: whole, balanced, and each message kept apart."""

from __future__ import annotations

import json
import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

import pytest

from laconic import Flow, Runtime
from laconic.backends import Request, ScriptedBackend
from laconic.planners import Batch
from laconic.workflows import folder

MESSAGES: list[dict[str, str]] = [
    json.loads(line) for line in (folder() / "data" / "support_messages.jsonl").read_text(encoding="utf-8").splitlines()
]
SIZE = 8


def flow(**changes: Any) -> Flow:
    return Flow.load(folder() / "classify_batch.yaml", {f"nodes.topics.{name}": to for name, to in changes.items()})


def labels() -> list[str]:
    node = flow().nodes["topics"]
    assert isinstance(node, Batch)
    return list(node.labels or ())


def test_the_messages_are_enough_balanced_and_labelled() -> None:
    assert len(MESSAGES) >= 240
    assert all(set(message) == {"id", "text", "answer"} for message in MESSAGES)
    assert len({message["id"] for message in MESSAGES}) == len(MESSAGES)
    often = Counter(message["answer"] for message in MESSAGES)
    assert sorted(often) == sorted(labels())
    assert max(often.values()) <= 1.1 * min(often.values())


def test_any_beginning_of_the_file_has_every_label() -> None:
    for start in range(0, len(MESSAGES) - 24, 24):
        assert {message["answer"] for message in MESSAGES[start : start + 24]} == set(labels())


def test_no_message_is_another_in_other_words() -> None:
    words = {message["id"]: re.findall(r"[\w']+", message["text"].casefold()) for message in MESSAGES}
    texts = {" ".join(text) or message["text"] for message, text in zip(MESSAGES, words.values(), strict=True)}
    assert len(texts) == len(MESSAGES)
    for (one, some), (other, more) in combinations(words.items(), 2):
        if len(set(some) & set(more)) > 0.5 * min(len(some), len(more)) and len(some) > 4 < len(more):
            assert SequenceMatcher(None, some, more).ratio() < 0.6, (one, other)


def test_some_messages_are_out_to_be_misread() -> None:
    texts = [message["text"] for message in MESSAGES]
    assert sum("\n" in text for text in texts) >= 10
    assert sum(bool(re.search(r"^Input \d+:", text, re.MULTILINE)) for text in texts) >= 5
    assert sum(bool(re.search(r"<\||</s>|\[INST\]", text)) for text in texts) >= 6
    assert sum(not re.search(r"[a-z]{8}", text) and not text.isascii() for text in texts) >= 5


def shown(text: str) -> str:
    """A message without what shows it as data: spaces and indents."""
    return re.sub(r"\s", "", text)


RIGHT = {shown(message["text"]): message["answer"] for message in MESSAGES}


def knowing(request: Request) -> str:
    """Answers rightly to every message that it is shown whole, and in a place of its own."""
    asked = str(request.messages[-1].content) if request.messages else ""
    if shown(asked) in RIGHT:
        return RIGHT[shown(asked)]
    entries = re.split(r"^Input (\d+): ", asked, flags=re.MULTILINE)
    return "\n".join(
        f"{number}: {RIGHT[shown(text)]}" for number, text in zip(entries[1::2], entries[2::2], strict=True)
    )


@pytest.mark.parametrize(("size", "votes", "calls"), [(1, 1, 246), (SIZE, 1, 31), (SIZE, 3, 62)])
async def test_who_knows_the_answers_gets_every_message_right(size: int, votes: int, calls: int) -> None:
    backend = ScriptedBackend(knowing, model="M", context=8192)
    async with Runtime(backends={"large": backend}) as runtime:
        result = await flow(batch_size=size, votes=votes).run(items=MESSAGES, runtime=runtime)
    assert result.outputs["topics"] == [message["answer"] for message in MESSAGES]
    assert len(backend.requests) == calls
