from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from laconic.backends.backend import Backend, Count
from laconic.backends.replay import Recorded, ReplayBackend, ReplayFile, content_key
from laconic.backends.request import Completion, Message, Request
from laconic.backends.tokenizers import upper_bound
from laconic.backends.usage import Usage
from laconic.errors import InputError, ReplayMiss


def ask(text: str, **fields: object) -> Request:
    return Request(model="qwen", messages=(Message("user", text),), **fields)  # type: ignore[arg-type]  # test fields


PARIS = Completion(text="Paris", usage=Usage(9, 1, 4, 0, 0), model="qwen", finish_reason="stop", seconds=1.5)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    lines = [
        Recorded("k1", ask("capital?"), PARIS),
        Recorded("k2", ask("draw", temperature=1.0, sample=1), Completion(text="b", usage=Usage(3, 1))),
        Recorded("k3", ask("draw", temperature=1.0), Completion(text="a", usage=Usage(3, 1))),
        Recorded("k4", ask("draw", temperature=1.0), Completion(text="later", usage=Usage(3, 1))),
        Recorded("k5", ask("uncounted"), Completion(text="u", usage=Usage())),
    ]
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, lines)) + b"\n\n")
    return path


async def test_gives_what_was_recorded_with_its_usage(recording: Path) -> None:
    backend = ReplayBackend(ReplayFile(recording), "qwen")
    assert isinstance(backend, Backend)
    assert await backend.complete(ask("capital?")) == PARIS
    assert await backend.count(ask("capital?")) == Count(9, "counted")
    assert (await backend.facts()).server == "replay"
    assert await backend.counters() is None


async def test_streams_in_one_piece(recording: Path) -> None:
    pieces: list[str] = []
    await ReplayBackend(ReplayFile(recording), "qwen").complete(
        ask("capital?"), lambda delta: pieces.append(delta.text)
    )
    assert pieces == ["Paris"]


async def test_draws_are_told_apart_and_the_first_of_equals_counts(recording: Path) -> None:
    backend = ReplayBackend(ReplayFile(recording), "qwen")
    assert (await backend.complete(ask("draw", temperature=1.0))).text == "a"
    assert (await backend.complete(ask("draw", temperature=1.0, sample=1))).text == "b"
    assert len(ReplayFile(recording)) == 4


async def test_a_call_that_was_not_recorded_is_named(recording: Path) -> None:
    backend = ReplayBackend(ReplayFile(recording), "qwen")
    with pytest.raises(ReplayMiss) as miss:
        await backend.complete(ask("x" * 200))
    assert f"'{'x' * 80}'" in str(miss.value)
    assert "x" * 81 not in str(miss.value)
    with pytest.raises(ReplayMiss):
        await backend.count(ask("capital?", max_tokens=5))
    with pytest.raises(ReplayMiss, match="2 tokens"):
        await backend.complete(Request(model="qwen", prompt_token_ids=(1, 2)))


async def test_what_was_not_counted_is_estimated(recording: Path) -> None:
    backend = ReplayBackend(ReplayFile(recording), "qwen")
    assert await backend.count(ask("uncounted")) == upper_bound(ask("uncounted"))


async def test_any_store_with_its_own_key_can_be_replayed() -> None:
    backend = ReplayBackend({"qwen/capital?": PARIS}, "qwen", key=lambda r: f"{r.model}/{r.messages[0].content}")  # type: ignore[index]  # a chat
    assert (await backend.complete(ask("capital?"))).text == "Paris"


def test_keys_depend_on_everything_said_and_on_nothing_else() -> None:
    one = ask("q", schema={"a": 1, "b": 2}, extra={"top_k": 1})
    same = ask("q", schema={"b": 2, "a": 1}, extra={"top_k": 1})
    assert content_key(one) == content_key(same)
    others = [ask("q"), ask("q", seed=1), ask("q", sample=1), ask("q", max_tokens=3), ask("q", stop=("\n",))]
    assert len({content_key(request) for request in [one, *others]}) == 6


@pytest.mark.parametrize("line", ["{", '{"key": "k"}', '{"key": "k", "request": {}, "completion": {}}', "\xff"])
def test_a_broken_line_is_named(recording: Path, line: str) -> None:
    recording.write_bytes(recording.read_bytes() + line.encode("latin-1"))
    with pytest.raises(InputError, match=r"calls\.jsonl:7: not a recorded call"):
        ReplayFile(recording)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl cannot be read"):
        ReplayFile(tmp_path / "nowhere.jsonl")
