"""A tool that always fails, in another's place."""

from __future__ import annotations

from typing import Any

import pytest

from laconic.errors import FlowError
from laconic.orchestrator import Flow
from laconic.tools import Nothing, Search


@pytest.mark.parametrize("args", ["Shirley Temple", {"query": "x"}, {"expression": "1 + 1"}, {"a": 1, "b": [2]}, {}])
async def test_it_finds_nothing_whatever_it_is_asked(use: Any, args: Any) -> None:
    result = await use({"kind": "nothing"}, args)
    assert result.outputs["said"] == "No evidence found."


def test_it_looks_to_a_planner_like_the_tool_it_stands_in_for() -> None:
    stand_in = Nothing(like="search")
    assert stand_in.description == Search(corpus="x").description
    assert stand_in.argument() == Search.argument()
    assert Nothing(like="search", description="Our own archive.").description == "Our own archive."


def test_an_unknown_kind_to_stand_in_for_is_named() -> None:
    with pytest.raises(FlowError, match=r"no tool 'serach'; did you mean 'search'\?"):
        Flow(name="f", tools={"s": {"kind": "nothing", "like": "serach"}}, nodes={"n": {"kind": "tool", "tool": "s"}})


def test_it_survives_a_round_trip_through_yaml() -> None:
    flow = Flow(
        name="f", tools={"s": {"kind": "nothing", "like": "search"}}, nodes={"n": {"kind": "tool", "tool": "s"}}
    )
    assert Flow.parse(flow.dump()) == flow
