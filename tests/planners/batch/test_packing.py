"""Packing: nothing lost, nothing out of order, no limit broken."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.planners.batch.packing import halves, packed

SIZES = st.lists(st.integers(1, 50), max_size=60)


@settings(deadline=None)
@given(SIZES, st.integers(1, 20), st.none() | st.integers(0, 120))
def test_every_item_is_in_one_batch_in_order_within_the_limits(sizes: list[int], most: int, room: int | None) -> None:
    batches = packed(sizes, most, room)
    assert [item for batch in batches for item in batch] == list(range(len(sizes)))
    assert all(1 <= len(batch) <= most for batch in batches)
    if room is not None:
        assert all(sum(sizes[item] for item in batch) <= room for batch in batches if len(batch) > 1)


@settings(deadline=None)
@given(SIZES, st.integers(1, 20), st.none() | st.integers(0, 120))
def test_no_batch_could_have_taken_the_next_item(sizes: list[int], most: int, room: int | None) -> None:
    batches = packed(sizes, most, room)
    for batch, following in pairwise(batches):
        larger = sum(sizes[item] for item in [*batch, following[0]])
        assert len(batch) == most or (room is not None and larger > room)


@settings(deadline=None)
@given(st.lists(st.integers(), min_size=2, max_size=40))
def test_halves_keep_all_in_order_and_differ_by_one_at_most(items: list[int]) -> None:
    first, second = halves(items)
    assert first + second == items
    assert 0 <= len(first) - len(second) <= 1
