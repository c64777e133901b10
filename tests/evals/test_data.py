"""Reading data: what is wrong is said with its line, the rest is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laconic.errors import InputError
from laconic.evals import Item, read_items
from laconic.evals.data import gold_answers


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_bad_lines_are_remembered_with_their_numbers_and_the_rest_is_used(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", {"id": "a"}, "{not json", "", ["list"], "3", {"x": 1}, {"id": "a"})
    data = read_items(path)
    assert [(item.id, item.line) for item in data.items] == [("a", 1), ("6", 6)]
    assert [problem.line for problem in data.problems] == [2, 4, 5, 7]
    said = [str(problem) for problem in data.problems]
    assert said[0].startswith("line 2: not valid JSON")
    assert said[1:] == [
        "line 4: not a JSON object but a list",
        "line 5: not a JSON object but a number",
        "line 7: the id 'a' is on line 1 already",
    ]


def test_bytes_that_are_no_utf8_spoil_their_line_only(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1}\n{"id": "\xff"}\n{"id": 2}\n')
    data = read_items(path)
    assert [item.id for item in data.items] == ["1", "2"]
    assert [problem.line for problem in data.problems] == [2]


def test_the_limit_counts_good_lines(tmp_path: Path) -> None:
    data = read_items(write(tmp_path / "d.jsonl", "bad", {"n": 1}, {"n": 2}, "bad too"), limit=2)
    assert [item.fields["n"] for item in data.items] == [1, 2]
    assert [problem.line for problem in data.problems] == [1]


def test_nothing_left_and_no_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 1: not valid JSON"):
        read_items(write(tmp_path / "d.jsonl", "nope"))
    with pytest.raises(InputError, match="it is empty"):
        read_items(write(tmp_path / "e.jsonl", ""))
    with pytest.raises(InputError, match="no data file"):
        read_items(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_items(tmp_path)


def test_gold_answers_of_all_spellings() -> None:
    def golds(**fields: Any) -> list[str]:
        return gold_answers(Item("1", 1, fields))

    assert golds(answer="1047", aliases=["1,047", "1047"]) == ["1047", "1,047"]
    assert golds(answer=["a", "b"]) == ["a", "b"]
    assert golds(answer=True) == ["yes"]
    assert golds(answer=12.5) == ["12.5"]
    assert golds(question="?") == []


def test_leaving_items_out_keeps_the_problems_in_the_order_of_lines(tmp_path: Path) -> None:
    data = read_items(write(tmp_path / "d.jsonl", {"id": "a"}, {"id": "b", "q": 1}, "bad"))
    data.require(lambda item: "" if "q" in item.fields else "no q")
    assert [item.id for item in data.items] == ["b"]
    assert [str(problem)[:14] for problem in data.problems] == ["line 1: no q", "line 3: not va"]
    with pytest.raises(InputError, match="line 1: no q"):
        data.require(lambda item: "unfit")
