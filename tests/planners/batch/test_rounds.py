"""Rounds: joined answers, seeded orders, and going on from the rounds there are."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.backends import ScriptedBackend
from laconic.orchestrator import Context, Flow, Node, Runtime, kind
from laconic.planners.batch.rounds import BatchRounds, Round, Standing, joined, shuffled
from laconic.planners.batch.task import Task
from laconic.planners.batch.votes import Vote


@settings(deadline=None)
@given(st.lists(st.integers(), unique=True, max_size=30), st.text(max_size=5), st.integers(1, 9))
def test_a_round_shows_every_item_once_in_an_order_that_its_seed_decides(
    items: list[int], seed: str, number: int
) -> None:
    assert sorted(shuffled(items, seed, number)) == sorted(items)
    assert shuffled(items, seed, number) == shuffled(items, seed, number)
    assert shuffled(items, seed, 1) == tuple(items)


def test_an_item_that_was_asked_again_has_its_later_answer() -> None:
    first = Round({1: Vote("a"), 2: None}, {"x": (1, 2)})
    again = Round({2: Vote("b")}, {"x/half-1": (2,)})
    assert joined([first, again]) == Round({1: Vote("a"), 2: Vote("b")}, {"x": (1, 2), "x/half-1": (2,)})


@kind("test_going_on")
class GoingOn(Node):
    """Three votes on two items of which one has two already."""

    async def run(self, ctx: Context) -> Any:
        rounds = BatchRounds(
            task=Task("?", {"yes": "", "no": ""}),
            texts={0: "item 0", 1: "item 1"},
            model="large",
            first=2,
            last=3,
            stop="exact",
            seed="s",
            votes={0: [Vote("yes")], 1: [None]},
        )
        return (await ctx.expand({"batch": rounds}))["batch"]


async def test_rounds_go_on_from_those_there_are() -> None:
    backend = ScriptedBackend(lambda request: "1: yes\n2: yes" if "Input 2" in str(request.messages) else "yes")
    flow = Flow(name="f", models={"large": {"backend": "scripted", "model": "m"}}, nodes={"a": GoingOn()})
    async with Runtime(backends={"large": backend}) as runtime:
        result = await flow.run(runtime=runtime)
    standing = result.raise_for_status().values["a"]
    assert isinstance(standing, Standing)
    assert standing.votes == {0: [Vote("yes")] * 2, 1: [None, Vote("yes"), Vote("yes")]}
    assert set(standing.asked) == {"a/batch/round-2", "a/batch/round-3"}
    assert len(backend.requests) == 2
    assert standing.undecided == ()


@settings(deadline=None)
@given(st.integers(1, 6), st.text(max_size=5))
def test_no_order_comes_twice_while_there_are_others(number: int, seed: str) -> None:
    items = list(range(number))
    seen: list[tuple[int, ...]] = []
    for round in range(1, min(4, math.factorial(number)) + 1):
        seen.append(shuffled(items, seed, round, seen))
    assert number == 3 or len(set(seen)) == len(seen)  # three items have six orders, and luck may miss one


async def test_what_was_asked_in_that_order_already_is_not_asked_again(batching: Any) -> None:
    done = await batching(["a", "b"], lambda items: ["yes"] * len(items), batch_size=2, votes=5, stop="never")
    assert sorted(done.prompts()) == [["a", "b"], ["b", "a"]]
    assert [detail.votes for detail in done.answers.details] == [{"yes": 5.0}] * 2
    drawn = await batching(
        ["a", "b"], lambda items: ["yes"] * len(items), batch_size=2, votes=5, stop="never", temperature=0.7
    )
    assert len(drawn.prompts()) == 5
