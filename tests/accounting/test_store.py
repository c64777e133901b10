from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting import Call, Database, Owner, Store, request_key
from laconic.accounting import store as store_module
from laconic.backends.replay import ReplayBackend, ReplayFile
from laconic.backends.request import Completion, Message, Request, TokenLogprob
from laconic.backends.usage import Usage
from laconic.errors import LedgerError, ReplayMiss

Make = Callable[..., Call]


def ask(text: str = "Who?", **fields: Any) -> Request:
    return Request(model="m", messages=(Message("user", text),), **fields)


def answer(text: str = "Nobody.") -> Completion:
    return Completion(text=text, usage=Usage(10, 3, 0, 0, 0), model="m", finish_reason="stop")


class TestKeys:
    def test_equal_requests_have_equal_keys_whatever_their_spelling(self) -> None:
        one = ask(temperature=0, top_p=1, schema={"a": 1, "b": {"c": 2, "d": 3}}, extra={"x": 1, "y": 2})
        other = ask(temperature=0.0, top_p=1.0, schema={"b": {"d": 3, "c": 2}, "a": 1}, extra={"y": 2, "x": 1})
        assert one == other
        assert request_key(one) == request_key(other)
        assert len(request_key(one)) == 32

    def test_whatever_changes_the_answer_changes_the_key(self) -> None:
        variants = [
            ask(),
            ask("Who"),
            ask(max_tokens=5),
            ask(temperature=0.7, seed=1),
            ask(temperature=0.7, seed=2),
            ask(top_p=0.5),
            ask(stop=("a",)),
            ask(stop=("a", "b")),
            ask(schema={}),
            ask(schema={"type": "string"}),
            ask(logprobs=1),
            ask(extra={"priority": 1}),
            ask(sample=1),
            Request(model="n", messages=(Message("user", "Who?"),)),
            Request(model="m", messages=(Message("system", "Who?"),)),
            Request(model="m", messages=(Message("user", "Who?", name="Ann"),)),
            Request(model="m", prompt="Who?"),
            Request(model="m", prompt_token_ids=(1, 2)),
            Request(model="m", prompt_token_ids=(12,)),
        ]
        assert len({request_key(variant) for variant in variants}) == len(variants)

    def test_who_asks_matters_only_where_chance_answers(self) -> None:
        owners = [Owner("r1", "a"), Owner("r1", "b"), Owner("r1", "a", "1"), Owner("r1", "a", "", "1"), "a/b"]
        assert len({request_key(ask(), owner) for owner in owners}) == 1
        assert len({request_key(ask(temperature=0.7), owner) for owner in owners}) == len(owners)
        assert len({request_key(ask(temperature=0.7, seed=1), owner) for owner in owners}) == 1
        drawn = request_key(ask(temperature=0.7), Owner("r1", "a"))
        assert drawn == request_key(ask(temperature=0.7), Owner("r2", "a")), "a run that is resumed finds its answers"

    def test_a_key_is_the_same_in_another_process(self) -> None:
        code = (
            "from laconic.accounting import request_key; from laconic.backends import *\n"
            "print(request_key(Request(model='m', messages=(Message('user', 'Who?'),), extra={'b': 1, 'a': 2})))"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert out.strip() == request_key(ask(extra={"a": 2, "b": 1}))

    def test_broken_text_has_a_key_too(self) -> None:
        assert request_key(ask("\ud83d")) != request_key(ask("\ud83e")) != request_key(ask("?"))
        assert request_key(ask("\ud83d", temperature=1.0), "\ud83d") != request_key(ask("\ud83d", temperature=1.0))

    @given(texts=st.lists(st.text(st.sampled_from("aé 🙂\n\"'\0")), min_size=2, max_size=2, unique=True))
    def test_different_texts_have_different_keys(self, texts: list[str]) -> None:
        assert request_key(ask(texts[0])) != request_key(ask(texts[1]))


class TestMemory:
    def test_what_is_put_is_there(self) -> None:
        store = Store()
        assert store.get("k") is None
        store.put("k", ask(), answer())
        assert store.get("k") == answer()

    def test_a_later_answer_takes_the_place_of_an_earlier_one(self, tmp_path: Path) -> None:
        with Database(tmp_path / "ledger.db") as database:
            for store in (Store(), Store(database)):
                store.put("k", ask(), answer("first"))
                store.put("k", ask(), answer("second"))
                assert store.get("k") == answer("second")
            database.flush()
            assert Store(database).get("k") == answer("second")


class TestFile:
    def test_an_answer_is_there_at_once_and_in_later_processes(self, tmp_path: Path) -> None:
        path = tmp_path / "ledger.db"
        full = Completion(
            text="größer",
            usage=Usage(10, 3, 4, 0, 1),
            model="m",
            finish_reason="length",
            reasoning="hm",
            token_ids=(1, 2, 3),
            prompt_token_ids=(4,),
            logprobs=(TokenLogprob("g", -0.5, 1, (("g", -0.5), ("k", -1.25))),),
            seconds=0.1,
            first_token_seconds=0.05,
        )
        with Database(path) as database:
            store = Store(database)
            store.put("k", ask(), full)
            assert store.get("k") == full
        with Database(path) as database:
            assert Store(database).get("k") == full
            assert Store(database).get("other") is None

    def test_memory_is_bounded_and_forgets_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store_module, "KEPT", 10)
        with Database(tmp_path / "ledger.db") as database:
            store = Store(database)
            for number in range(200):
                store.put(str(number), ask(str(number)), answer(str(number)))
                found = store.get(str(number // 2))
                assert found is not None
                assert found.text == str(number // 2)
            database.flush()
            store.put("one more", ask(), answer())
            assert len(store._kept) == 10
            assert all(store.get(str(number)) == answer(str(number)) for number in range(200))

    def test_an_answer_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        with Database(tmp_path / "ledger.db") as database:
            Store(database).put("k", ask(), answer())
            database.flush()
            database._reader.execute("UPDATE responses SET completion = '{}'")
            with pytest.raises(LedgerError, match="cannot be read"):
                Store(database).get("k")


class TestRecordings:
    def test_an_export_loads_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl"
        with Database(tmp_path / "ledger.db") as database:
            for store in (Store(), Store(database)):
                store.put("k1", ask("one\nline"), answer("größer"))
                store.put("k2", ask("two", stop=("a",)), answer("2"))
                assert store.export(path) == 2
                lines = [msgspec.json.decode(line) for line in path.read_text(encoding="utf-8").splitlines()]
                assert [set(line) for line in lines] == [{"key", "request", "completion"}] * 2
                assert lines[1]["request"]["messages"][0]["content"] == "two"
                loaded = Store.load_jsonl(path)
                assert (loaded.get("k1"), loaded.get("k2")) == (answer("größer"), answer("2"))

    def test_a_run_exports_what_it_got_or_reused(self, tmp_path: Path, make: Make) -> None:
        with Database(tmp_path / "ledger.db") as database:
            store = Store(database)
            for key in ("k1", "k2", "k3"):
                store.put(key, ask(key), answer(key))
            database.write_call(make(run="r1", request_hash="k1"))
            database.write_call(make(run="r1", request_hash="k3", status="replayed"))
            database.write_call(make(run="r2", request_hash="k2"))
            assert store.export(tmp_path / "r1.jsonl", run="r1") == 2
            loaded = Store.load_jsonl(tmp_path / "r1.jsonl")
            assert [loaded.get(key) is not None for key in ("k1", "k2", "k3")] == [True, False, True]

    async def test_a_replay_answers_from_a_store_and_from_its_export(self, tmp_path: Path) -> None:
        store = Store()
        store.put(request_key(ask(max_tokens=5)), ask(max_tokens=5), answer())
        store.export(tmp_path / "answers.jsonl")
        replays = [
            ReplayBackend(store, "m", key=request_key),
            ReplayBackend(store, "m"),
            ReplayBackend(ReplayFile(tmp_path / "answers.jsonl"), "m"),
        ]
        for replay in replays:
            assert await replay.complete(ask(max_tokens=5)) == answer()
            with pytest.raises(ReplayMiss):
                await replay.complete(ask(max_tokens=6))

    def test_a_recording_can_be_put_in_a_file(self, tmp_path: Path) -> None:
        store = Store()
        store.put("k", ask(), answer())
        store.export(tmp_path / "answers.jsonl")
        with Database(tmp_path / "ledger.db") as database:
            Store.load_jsonl(tmp_path / "answers.jsonl", database)
        with Database(tmp_path / "ledger.db") as database:
            assert Store(database).get("k") == answer()

    def test_without_a_file_no_run_can_be_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match="export them all"):
            Store().export(tmp_path / "answers.jsonl", run="r1")

    def test_a_line_that_is_no_answer_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl"
        store = Store()
        store.put("k", ask(), answer())
        store.export(path)
        path.write_bytes(path.read_bytes() + b"\n{}\n")
        with pytest.raises(LedgerError, match=r"answers\.jsonl, line 3: not a recorded answer .*`key`"):
            Store.load_jsonl(path)

    def test_a_recording_that_is_not_there_or_cannot_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match=r"recording .* cannot be read"):
            Store.load_jsonl(tmp_path / "none.jsonl")
        with pytest.raises(LedgerError, match=r"recording .* cannot be written"):
            Store().export(tmp_path / "no folder" / "answers.jsonl")
