"""Which prompts are put together, and in which order the groups go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.accounting.prefix_tree import Group, groups
from laconic.backends.prefix_cache import PrefixCache, hashes

BLOCK = 2


ARRIVED = count()


class Prompt(msgspec.Struct, eq=False):
    ids: tuple[int, ...]
    expected: int = 1
    begun: bool = False
    number: int = msgspec.field(default_factory=lambda: next(ARRIVED))

    @property
    def marks(self) -> tuple[int, ...]:
        return tuple(hashes(self.ids[:-1], BLOCK))

    @property
    def size(self) -> int:
        return len(self.ids)


def prompt(text: str, **more: int) -> Prompt:
    return Prompt(tuple(map(ord, text)), **more)


def texts(found: Sequence[Group[Prompt]]) -> list[list[str]]:
    return [["".join(map(chr, member.ids)) for member in group.members] for group in found]


def test_documents_with_several_questions_are_groups() -> None:
    waiting = [prompt(f"{document}{question}?") for question in "xyz" for document in ("aaaaaa", "bbbbbb")]
    found = groups(waiting)
    assert texts(found) == [["aaaaaax?", "aaaaaay?", "aaaaaaz?"], ["bbbbbbx?", "bbbbbby?", "bbbbbbz?"]]
    assert [len(group.prefix) for group in found] == [3, 3]


def test_a_longer_prefix_makes_a_group_of_its_own_where_it_saves_more() -> None:
    """All share one block. Two documents of three more blocks are worth splitting; a question asked twice is not."""
    waiting = [prompt(f"ss{'d' * 6}{n}.") for n in range(3)] + [prompt(f"ss{'e' * 6}{n}.") for n in range(3)]
    assert [len(group.prefix) for group in groups(waiting)] == [4, 4]
    waiting = [prompt(f"ssssssss{first}{second}") for first in "abcd" for second in ("xxx", "yyy")]
    assert [len(group.members) for group in groups(waiting)] == [8]


def test_what_generates_most_for_what_it_reads_goes_first() -> None:
    waiting = [prompt("aaaa1", expected=1), prompt("bbbb1", expected=9), prompt("cccc1", expected=5)]
    assert [group[0][0] for group in texts(groups(waiting))] == ["b", "c", "a"]


def test_what_is_under_way_goes_before_everything_else() -> None:
    waiting = [prompt("aaaa1", expected=9), prompt("bbbb1", begun=True)]
    assert [group[0][0] for group in texts(groups(waiting))] == ["b", "a"]


def test_neighbours_in_the_tree_stay_together() -> None:
    """The groups of one system prompt are not torn apart by a group that generates as much as one of them."""
    long = {"expected": 50}
    waiting = [prompt(f"ss{'a' * 6}{n}.", **long) for n in range(3)] + [prompt(f"ss{'b' * 6}{n}.") for n in range(3)]
    waiting += [prompt(f"tt{'c' * 6}{n}.", expected=10) for n in range(3)]
    assert [group[0][:3] for group in texts(groups(waiting))] == ["ssa", "ssb", "ttc"]


def test_a_thousand_prompts_of_which_each_begins_as_the_one_before() -> None:
    waiting = [Prompt(tuple(range(BLOCK * n + 1))) for n in range(1, 1200)]
    assert sum(len(group.members) for group in groups(waiting)) == len(waiting)


@given(st.lists(st.lists(st.integers(0, 1), max_size=14), max_size=24))
def test_every_prompt_is_in_one_group_and_has_its_prefix(lists: list[list[int]]) -> None:
    waiting = [Prompt(tuple(ids)) for ids in lists]
    found = groups(waiting)
    assert sorted(id(p) for group in found for p in group.members) == sorted(map(id, waiting))
    for group in found:
        assert all(member.marks[: len(group.prefix)] == group.prefix for member in group.members)
        assert group.prefix or len(group.members) == 1
    for one, other in combinations(found, 2):
        assert not (one.prefix and one.prefix == other.prefix), "one prefix, one group"


@pytest.mark.parametrize("blocks", [8, 16])
@given(orders=st.permutations([(d, q) for d in range(6) for q in range(4)]))
def test_one_after_the_other_they_reuse_what_an_infinite_cache_would(
    orders: list[tuple[int, int]], blocks: int
) -> None:
    waiting = [Prompt((*[9] * 4, *[10 + d] * 6, 100 + q, 7)) for d, q in orders]
    small, infinite = PrefixCache(BLOCK, blocks), PrefixCache(BLOCK)
    reused = possible = 0
    for group in groups(waiting):
        for member in group.members:
            reused += small.read(member.ids)
            small.write(member.ids)
    for member in waiting:
        possible += infinite.read(member.ids)
        infinite.write(member.ids)
    assert reused == possible
