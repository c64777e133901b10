"""`ItemsDecided`: a batch tells how far it is, and what its items would have taken in prompts of their own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from laconic import Flow
from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Event, ItemsDecided, Result

INSTRUCTION = "Say of each number whether it is even. Nothing else is of interest to whoever asks."


def parity(request: Request) -> str:
    """Answers as a model that is always right."""
    asked = request.messages[-1].content if request.messages else ""
    found = re.findall(r"^Input (\d+): (\d+)$", asked, re.MULTILINE)
    lines = [f"{place}: {'yes' if int(number) % 2 == 0 else 'no'}" for place, number in found]
    return "\n".join(lines) or ("yes" if int(asked) % 2 == 0 else "no")


def run(items: list[int], answer: Any = parity, **node: Any) -> tuple[Result, list[ItemsDecided]]:
    flow = Flow(
        name="parities",
        inputs={"numbers": "list"},
        models={"large": {"backend": "scripted", "model": "script"}},
        nodes={
            "even": {
                "kind": "batch",
                "items": "{{ numbers }}",
                "instruction": INSTRUCTION,
                "labels": ["yes", "no"],
                **node,
            }
        },
        outputs={"even": "{{ even }}"},
    )
    told: list[ItemsDecided] = []

    def hear(event: Event) -> None:
        if isinstance(event, ItemsDecided):
            told.append(event)

    result = flow.run_sync(numbers=items, backends={"large": ScriptedBackend(answer)}, on_event=hear)
    return result.raise_for_status(), told


def test_items_are_told_as_they_are_decided_and_all_of_them_in_the_end() -> None:
    result, told = run(list(range(20)), batch_size=5, votes=3)
    done = [event.done for event in told]
    assert done == sorted(done)
    assert {0, 5, 10, 15, 20} <= set(done), "a batch is told when its own rounds are over, not when all are"
    last = told[-1]
    assert (last.run, last.path, last.item, last.done, last.of) == (result.run, "even", "", 20, 20)
    assert last.votes == 40, "two equal votes of three decide"
    assert last.tokens == result.ledger.total().total


def test_single_prompting_is_estimated_from_the_first_prompt() -> None:
    items = list(range(100, 160))
    batched, told = run(items, batch_size=10)
    single, alone = run(items, batch_size=1)
    really = single.ledger.total().total
    assert alone[-1].single == alone[-1].tokens == really, "of single prompting itself it is exact"
    assert told[-1].single == pytest.approx(really, rel=0.25)
    assert told[-1].tokens < really / 2
    assert batched.outputs == single.outputs


def test_the_estimate_is_that_of_the_first_prompt_however_often_an_item_is_asked() -> None:
    calls = 0

    def wavering(request: Request) -> str:
        nonlocal calls
        calls += 1
        said = parity(request)
        return said if calls != 2 else said.replace("1: ", "1: x")  # no answer: this item is asked once more, alone

    _, told = run(list(range(8)), answer=wavering, batch_size=8, votes=3)
    _, once = run(list(range(8)), batch_size=8)
    assert calls == 3
    assert told[-1].single == once[-1].single


def test_equal_items_count_as_often_as_they_are_in_the_list() -> None:
    _, told = run([1, 2, 1, 1], batch_size=4)
    _, once = run([1, 2], batch_size=4)
    assert (told[-1].done, told[-1].of, told[-1].votes) == (4, 4, 2)
    assert told[-1].single is not None
    assert once[-1].single is not None
    assert told[-1].single == pytest.approx(2 * once[-1].single, abs=1)


def test_items_without_an_answer_are_done_in_the_end() -> None:
    result, told = run(list(range(4)), answer="I would rather not say.", batch_size=4)
    assert result.outputs["even"] == [None] * 4
    assert (told[-1].done, told[-1].of, told[-1].votes) == (4, 4, 0)


def test_an_item_that_cannot_be_shown_is_named() -> None:
    with pytest.raises(Exception, match=r"item 2 of the list, '\{\}', cannot be shown: .*'text'") as error:
        run([{"text": "a"}, {}], item="{{ item.text }}")  # type: ignore[list-item]  # what such a list may hold
    assert not isinstance(error.value, KeyError)
