"""Recorded votes, replayed under each rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.errors import InputError
from laconic.evals.recorded_votes import Recorded, read_recorded, replay, replays

ITEMS = [
    Recorded(1, [1, 1, 0], 10),  # two of three, decided after two
    Recorded(0, [0, 1, 0], 20),  # needs all three
    Recorded(1, [0, 0, 1], 30),  # wrong after two, and with all
    Recorded(1, [0, 1], 40),  # a round had no answer for it: a tie
]


def test_full_votes_and_early_stops() -> None:
    full = replay(ITEMS, rule="never", rounds=3, batch_size=2)
    assert (full.right, full.calls, full.questions, full.ties, full.tokens) == (2, 6, 12, 1, 300)
    early = replay(ITEMS, rule="exact", rounds=3, batch_size=2)
    assert (early.right, early.calls, early.questions, early.changed) == (2, 6, 10, 0)
    alone = replay(ITEMS, rule="exact", rounds=3, batch_size=1)
    assert alone.calls == 10


def test_one_vote_is_the_first() -> None:
    one = replay(ITEMS, rule="never", rounds=1, batch_size=4)
    assert (one.right, one.calls, one.questions) == (2, 1, 4)


recorded = st.builds(
    Recorded, st.integers(0, 1), st.lists(st.integers(0, 2), min_size=1, max_size=9), st.integers(0, 100)
)


@given(st.lists(recorded, min_size=1, max_size=40), st.integers(1, 16))
def test_exact_stops_change_no_label_and_no_rule_asks_more(items: list[Recorded], size: int) -> None:
    found = {(one.rounds, one.rule): one for one in replays(items, size)}
    for (rounds, rule), one in found.items():
        full = found[rounds, "never"]
        assert one.questions <= full.questions
        assert one.calls <= full.calls
        if rule == "exact":
            assert (one.changed, one.right) == (0, full.right)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "votes.json"
    path.write_text(json.dumps([{"gt_label": 1, "gpt_voting": [1, 0]}, {}]))
    assert read_recorded(path) == [Recorded(1, [1, 0])]
    path.write_text("[{}]")
    with pytest.raises(InputError, match="no item with a label and votes"):
        read_recorded(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="no recorded votes"):
        read_recorded(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_recorded(tmp_path / "nothing.json")
