"""The script that deals a question's paragraphs to two agents."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "deal_paragraphs.py"


def question(id, needed=2, length=1):
    texts = [f"{name} {number} of {id}. " * length for number, name in enumerate(["Needed"] * needed + ["Other"] * 6)]
    paragraphs = [f"Title {number}: {text.strip()}" for number, text in enumerate(texts)]
    return {
        "id": id,
        "input": f"What is {id}?",
        "answer": id.upper(),
        "context": paragraphs,
        "supporting_paragraphs": "\n\n".join(text.strip() for text in texts[:needed]),
    }


def deal(tmp_path, questions, *options):
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in questions))
    command = [sys.executable, str(SCRIPT), str(source), str(target), *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in target.read_text().splitlines()], ran.stderr


def test_each_hand_holds_one_paragraph_that_is_needed_and_none_is_lost(tmp_path):
    items, _ = deal(tmp_path, [question(id) for id in "abcdefgh"])
    for item, id in zip(items, "abcdefgh", strict=True):
        assert (item["id"], item["question"], item["answer"]) == (id, f"What is {id}?", id.upper())
        assert sorted(item["left"] + item["right"]) == question(id)["context"]
        assert [sum("Needed" in text for text in item[hand]) for hand in ("left", "right")] == [1, 1]
    again, _ = deal(tmp_path, [question(id) for id in "abcdefgh"])
    assert again == items
    assert {item["left"][0].split(":")[0] for item in items} != {"Title 0"}


def test_fewer_paragraphs_and_only_the_shortest_questions(tmp_path):
    questions = [question("long", length=9), question("a"), question("b")]
    items, _ = deal(tmp_path, questions, "--others", "2", "--most", "2")
    assert [item["id"] for item in items] == ["a", "b"]
    assert [len(item[hand]) for item in items for hand in ("left", "right")] == [3, 3, 3, 3]


def test_what_cannot_be_dealt_is_named(tmp_path):
    items, told = deal(tmp_path, [question("odd", needed=3), question("a")])
    assert [item["id"] for item in items] == ["a"]
    assert "left out odd: 3 of its paragraphs are needed, not 2" in told
