"""Questions with gold SQL under one set of names, however they were given out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laconic.errors import InputError
from laconic.evals import read_sql_items
from laconic.evals.sql_data import databases_beside

SPIDER = {
    "db_id": "zoo",
    "query": "SELECT 1",
    "query_toks": ["SELECT", "1"],
    "question": "One?",
    "sql": {"select": [False, []]},
}
BIRD = {
    "question_id": 17,
    "db_id": "zoo",
    "question": "Two?",
    "evidence": "two is 2",
    "SQL": "SELECT 2",
    "difficulty": "simple",
}
OURS = {"id": "z", "db_id": "zoo", "question": "Three?", "evidence": "", "sql": "SELECT 3", "difficulty": "moderate"}


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1), encoding="utf-8")
    return path


def test_the_three_layouts_become_the_same_items(tmp_path: Path) -> None:
    write(tmp_path / "spider" / "dev.json", [SPIDER])
    write(tmp_path / "bird" / "dev.json", [BIRD])
    jsonl = write(tmp_path / "ours.jsonl", json.dumps(OURS) + "\n")
    items = [read_sql_items(path).items[0] for path in (tmp_path / "spider", tmp_path / "bird" / "dev.json", jsonl)]
    assert [item.id for item in items] == ["1", "17", "z"]
    assert [item.fields["sql"] for item in items] == ["SELECT 1", "SELECT 2", "SELECT 3"]
    assert [item.fields["evidence"] for item in items] == ["", "two is 2", ""]
    assert [item.fields["question"] for item in items] == ["One?", "Two?", "Three?"]
    assert {item.group for item in items} == {"zoo"}
    assert items[1].fields["difficulty"] == "simple"


def test_entries_that_cannot_be_used_are_said_with_their_number(tmp_path: Path) -> None:
    data = read_sql_items(write(tmp_path / "dev.json", [SPIDER, "what", BIRD, BIRD]))
    assert [item.id for item in data.items] == ["1", "17"]
    assert [str(problem) for problem in data.problems] == [
        "entry 2: not a JSON object but text",
        "entry 4: the id '17' is on entry 3 already",
    ]
    assert [item.id for item in read_sql_items(data.path, limit=1).items] == ["1"]


def test_a_file_or_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of dev\.json, dev\.jsonl in the folder"):
        read_sql_items(tmp_path)
    with pytest.raises(InputError, match="no data file"):
        read_sql_items(tmp_path / "none.json")
    with pytest.raises(InputError, match="is not valid JSON"):
        read_sql_items(write(tmp_path / "half.json", '[{"db_id": "zoo"'))
    with pytest.raises(InputError, match="no item that can be used"):
        read_sql_items(write(tmp_path / "empty.json", []))


@pytest.mark.parametrize("name", ["database", "dev_databases", "databases"])
def test_the_databases_that_come_with_the_questions_are_found(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "dev.json", [SPIDER])
    assert databases_beside(file) is None
    (tmp_path / name).mkdir()
    assert databases_beside(file) == databases_beside(tmp_path) == tmp_path / name
