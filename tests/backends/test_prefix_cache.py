"""The model of a prefix cache: what is found again, and what is forgotten first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.backends.prefix_cache import PrefixCache
from laconic.backends.request import Request
from laconic.backends.scripted import ScriptedBackend

A, B, C = range(10, 19), range(30, 39), range(50, 59)
"""Prompts of nine tokens: four blocks of two, and a token more."""


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=20), min_size=1, max_size=12), st.integers(1, 5))
def test_the_cache_is_the_longest_known_prefix_in_blocks(prompts: list[list[int]], block: int) -> None:
    cache, known = PrefixCache(block), list[list[int]]()
    for prompt in prompts:
        shared = max(
            (sum(1 for _ in range(at + 1)) for seen in known for at in range(min(len(seen), len(prompt) - 1))
             if seen[: at + 1] == prompt[: at + 1] and len(seen) // block * block > at),
            default=0,
        )  # fmt: skip
        assert cache.read(prompt) == shared // block * block
        cache.write(prompt)
        known.append(prompt)


def test_a_block_has_at_least_one_token() -> None:
    with pytest.raises(ValueError, match="at least 1 token"):
        PrefixCache(0)


def test_there_is_at_least_one_block() -> None:
    with pytest.raises(ValueError, match="at least 1 block"):
        PrefixCache(2, 0)


def test_the_longest_unused_is_forgotten_first() -> None:
    cache = PrefixCache(2, blocks=10)
    cache.write(A)
    cache.write(B)  # five blocks each, of which the last is not full
    assert cache.read(A) == 8
    cache.write(A)  # used again, so that B is now the older
    cache.write(C[:5])  # takes the two empty blocks and one of B
    assert (cache.read(A), cache.read(B), cache.read(C[:5])) == (8, 6, 4)


def test_of_one_sequence_the_end_is_forgotten_first() -> None:
    cache = PrefixCache(2, blocks=5)
    cache.write(A)
    left = []
    for length in (3, 5, 7):
        cache.write(range(100 + 10 * length, 100 + 10 * length + length))
        left.append(cache.read(A))
    assert left == sorted(left, reverse=True)
    assert left[0] == 6, "the first block stays longest"
    assert left[-1] == 0


def test_what_a_running_sequence_holds_is_not_given_away() -> None:
    cache = PrefixCache(2, blocks=6)
    running = cache.begin(A)
    for start in (100, 200, 300):
        cache.write(range(start, start + 2))
    assert cache.read(A) == 8
    running.end(A)
    for start in range(400, 440, 2):
        cache.write(range(start, start + 2))
    assert cache.read(A) == 0, "now it is free for others"


def test_two_at_once_share_what_they_have_in_common() -> None:
    cache = PrefixCache(2, blocks=8)
    first, second = cache.begin(A), cache.begin([*A[:6], 1, 2, 3])
    assert (first.cached, second.cached) == (0, 6)
    first.end(A)
    assert cache.read(A) == 8, "the second still holds the beginning"


def test_more_than_there_is_room_for_is_not_remembered() -> None:
    cache = PrefixCache(2, blocks=4)
    running = [cache.begin(prompt) for prompt in (A, B)]
    for sequence, prompt in zip(running, (A, B), strict=True):
        sequence.end(prompt)
    assert cache.read(A) + cache.read(B) <= 8


@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=12), min_size=1, max_size=20),
    st.integers(1, 3),
    st.integers(1, 12),
)
def test_a_small_cache_never_finds_more_than_a_large_one(prompts: list[list[int]], block: int, blocks: int) -> None:
    small, large = PrefixCache(block, blocks), PrefixCache(block)
    for prompt in prompts:
        assert small.read(prompt) <= large.read(prompt)
        assert small.begin(prompt).cached % block == 0
        large.write(prompt)


async def test_a_scripted_model_forgets_as_its_cache_does() -> None:
    backend = ScriptedBackend("ok", block=2, blocks=5)
    read = []
    for prompt in (A, A, B, A):
        completion = await backend.complete(Request(model="m", prompt_token_ids=tuple(prompt), max_tokens=1))
        read.append(completion.usage.cache_read)
    assert read == [0, 8, 0, 0]
    facts = await backend.facts()
    assert (facts.caches_prefixes, facts.block, facts.blocks) == (True, 2, 5)
