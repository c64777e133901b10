"""`batch_size: auto` and `votes: auto`: the cheapest way that keeps the accuracy, found on a sample and remembered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from laconic.errors import FlowError

ITEMS = [f"item {number}" for number in range(300)]
INSTRUCTION = "Is the number of the item even? Look at its last digit. " * 3
Judge = Callable[[Sequence[str]], list[str | None]]


def number(item: str) -> int:
    return int(item.split()[-1])


def right(item: str) -> str:
    return "yes" if number(item) % 2 == 0 else "no"


def wrong(item: str) -> str:
    return "no" if right(item) == "yes" else "yes"


def good_up_to(size: int) -> Judge:
    """Right in prompts of at most so many items; in larger ones wrong of every second item it is shown."""

    def judge(items: Sequence[str]) -> list[str | None]:
        return [
            right(item) if len(items) <= size or place % 2 else wrong(item) for place, item in enumerate(items, start=1)
        ]

    return judge


def auto(batching: Any, judge: Any, items: Sequence[Any] = ITEMS, **node: Any) -> Any:
    return batching(items, judge, **{"batch_size": "auto", "instruction": INSTRUCTION, **node})


def sizes(done: Any, *, under: str = "answer/batch") -> set[int]:
    """How many items the prompts of these nodes had."""
    return {len(prompt) for prompt, path in zip(done.prompts(), paths(done), strict=True) if path.startswith(under)}


def paths(done: Any) -> list[str]:
    return [call.node for call in done.result.ledger.calls]


async def test_the_largest_size_that_holds_is_chosen(batching: Any) -> None:
    done = await auto(batching, good_up_to(8))
    assert done.answers == [right(item) for item in ITEMS]
    assert max(len(prompt) for prompt in done.prompts()) == 16
    details = done.answers.details
    assert Counter(detail.by for detail in details) == {"calibration": 100, "batch": 200}
    assert done.notes[0].startswith("auto: 8 at once, 1 vote: keeps at least 98.7 % of single prompting's accuracy")
    assert "(100 items, self-labelled)" in done.notes[0]
    assert done.notes[1].startswith("auto: stopped at 16 at once: the sample shows no more than ")
    total = done.result.ledger.total()
    assert sum(detail.share.total for detail in details) == total.prompt + total.completion


async def test_what_was_measured_is_what_the_ledger_says(batching: Any) -> None:
    done = await auto(batching, good_up_to(8))
    ledger = done.result.ledger
    measured = done.notes[0].rpartition("self-labelled), ")[2]
    single = ledger.total(purpose="calibrate").calls - sum(
        "batch" in path for path in paths(done) if "calibration" in path
    )
    assert single == 100
    tokens = {
        name: sum(
            call.usage.prompt + call.usage.completion
            for call in ledger.calls
            if call.node.startswith(f"answer/calibration/{name}-")
        )
        for name in ("single", "8-batch")
    }
    assert measured == f"{tokens['8-batch'] / 100:.0f} tokens an item against {tokens['single'] / 100:.0f}"


async def test_sample_items_are_asked_singly_once_and_never_again_outside_the_calibration(batching: Any) -> None:
    done = await auto(batching, good_up_to(8))
    kept = {item for item, detail in zip(ITEMS, done.answers.details, strict=True) if detail.by == "calibration"}
    later = [
        item
        for prompt, path in zip(done.prompts(), paths(done), strict=True)
        if not path.startswith("answer/calibration/")
        for item in prompt
    ]
    assert sorted(later) == sorted(set(ITEMS) - kept)
    singles = [prompt[0] for prompt in done.prompts() if len(prompt) == 1]
    assert sorted(singles) == sorted(kept)


async def test_the_sample_is_drawn_by_the_seed(batching: Any) -> None:
    async def sample(seed: int) -> list[bool]:
        done = await auto(batching, good_up_to(1), seed=seed, calibration_items=70)
        return [detail.by == "calibration" for detail in done.answers.details]

    first = await sample(1)
    assert sum(first) == 70
    assert first == await sample(1) != await sample(2)


async def test_a_weak_model_stays_with_single_prompting(batching: Any) -> None:
    done = await auto(batching, good_up_to(1))
    assert done.answers == [right(item) for item in ITEMS]
    assert sizes(done) == {1}
    assert done.notes[0].startswith("auto: asked singly: no other way was shown to keep 98 % of its accuracy")
    assert done.notes[1].startswith("auto: stopped at 2 at once")


async def test_votes_are_tried_where_one_does_not_hold_and_no_round_is_paid_twice(batching: Any) -> None:
    often: Counter[str] = Counter()

    def first_is_worse(items: Sequence[str]) -> list[str | None]:
        """Wrong of some items when they are first asked about in a batch of eight."""
        often.update(items if len(items) == 8 else ())
        return [
            wrong(item) if len(items) == 8 and number(item) % 20 == 3 and often[item] == 1 else right(item)
            for item in items
        ]

    done = await auto(batching, first_is_worse, votes="auto", batch_size=8)
    assert "auto: 8 at once, 3 votes: keeps at least 98.7 %" in done.notes[0]
    at_eight = [path for path in paths(done) if path.startswith("answer/calibration/8-")]
    assert sum("/round-1" in path for path in at_eight) == 13
    assert sum("/round-2" in path for path in at_eight) == 13
    assert done.answers.count(None) == 0


async def test_a_format_that_fails_stops_the_growth(batching: Any) -> None:
    def overwhelmed(items: Sequence[str]) -> list[str | None]:
        return [right(item) for item in items] if len(items) <= 4 else [None] * len(items)

    done = await auto(batching, overwhelmed)
    assert done.answers == [right(item) for item in ITEMS]
    assert done.notes[0].startswith("auto: 4 at once")
    assert done.notes[1] == "auto: stopped at 8 at once, where most replies could not be used as they were"
    assert max(len(prompt) for prompt in done.prompts()) == 8


async def test_no_more_votes_are_asked_of_a_model_that_cannot_keep_the_form(batching: Any) -> None:
    def babbles(items: Sequence[str]) -> list[str | None]:
        return [right(items[0])] if len(items) == 1 and number(items[0]) % 10 else [None] * len(items)

    done = await auto(batching, babbles, votes="auto", last="small", small=lambda items: ["no"] * len(items))
    assert done.notes[1].startswith("auto: stopped at 2 at once")
    assert not [path for path in paths(done) if "votes-3" in path]


async def test_the_dearer_way_is_not_chosen_though_it_holds(batching: Any) -> None:
    def never_together(items: Sequence[str]) -> list[str | None]:
        return [right(item) if len(items) == 1 else None for item in items]

    done = await auto(batching, never_together)
    assert done.answers == [right(item) for item in ITEMS]
    assert done.notes[0].startswith("auto: asked singly")
    assert sizes(done) == {1}


def labelled(path: Path, count: int, answers: Callable[[int], Any] = lambda n: right(f"item {n}")) -> Path:
    lines = [json.dumps({"item": f"item {n}", "answer": answers(n)}) for n in range(1000, 1000 + count)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


async def test_labelled_items_are_measured_on_and_are_none_of_the_answers(batching: Any, tmp_path: Path) -> None:
    labelled(tmp_path / "known.jsonl", 120)
    done = await auto(batching, good_up_to(4), ITEMS[:40], calibration="known.jsonl", base=tmp_path)
    assert done.answers == [right(item) for item in ITEMS[:40]]
    assert {detail.by for detail in done.answers.details} == {"batch"}
    assert sizes(done) == {4}
    assert "(120 items, labelled)" in done.notes[0]


async def test_labels_tell_when_batches_are_better_than_single_prompting(batching: Any, tmp_path: Path) -> None:
    labelled(tmp_path / "known.jsonl", 120)

    def better_together(items: Sequence[str]) -> list[str | None]:
        return [wrong(item) if len(items) == 1 and number(item) % 5 == 0 else right(item) for item in items]

    with_labels = await auto(batching, better_together, ITEMS, calibration="known.jsonl", base=tmp_path)
    assert with_labels.notes[0].startswith("auto: 32 at once, 1 vote: keeps at least 11")
    alone = await auto(batching, better_together)
    assert alone.notes[0].startswith("auto: asked singly")


async def test_what_single_prompting_does_not_answer_counts_where_there_are_labels(
    batching: Any, tmp_path: Path
) -> None:
    labelled(tmp_path / "known.jsonl", 120)

    def silent_alone(items: Sequence[str]) -> list[str | None]:
        return [None if len(items) == 1 and number(item) % 5 == 0 else right(item) for item in items]

    done = await auto(batching, silent_alone, ITEMS, calibration="known.jsonl", base=tmp_path)
    assert done.notes[0].startswith("auto: 32 at once, 1 vote: keeps at least 11")
    assert "(120 items, labelled)" in done.notes[0]


async def test_items_with_fields_keep_their_answer_out_of_the_prompt(batching: Any, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"item {n}", "answer": right(f"item {n}")}) for n in range(80)]
    (tmp_path / "known.jsonl").write_text("\n".join(lines), encoding="utf-8")
    items = [{"text": item} for item in ITEMS[:9]]
    done = await auto(batching, good_up_to(8), items, item="{{ item.text }}", calibration="known.jsonl", base=tmp_path)
    assert done.answers == [right(item) for item in ITEMS[:9]]
    assert all(item.startswith("item ") for prompt in done.prompts() for item in prompt)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "is empty"),
        ('{"item": "x", "answer": "yes"}\n[1]', ":2: not a JSON object"),
        ('{"item": "x"}', ":1: it needs an `answer`"),
        ('{"item": "x", "answer": "perhaps"}', "'perhaps' is none of the labels yes, no"),
    ],
)
async def test_a_calibration_file_that_cannot_be_used_is_refused_when_the_flow_is_loaded(
    batching: Any, tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "known.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(FlowError, match=message):
        await auto(batching, good_up_to(8), calibration="known.jsonl", base=tmp_path)


async def test_a_calibration_without_auto_is_refused(batching: Any, tmp_path: Path) -> None:
    labelled(tmp_path / "known.jsonl", 5)
    with pytest.raises(FlowError, match="batch_size: auto"):
        await auto(batching, good_up_to(8), batch_size=4, calibration="known.jsonl", base=tmp_path)


async def test_a_sample_that_is_too_small_says_how_many_would_do(batching: Any) -> None:
    few = await auto(batching, good_up_to(8), ITEMS[:30])
    assert few.answers == [right(item) for item in ITEMS[:30]]
    assert [len(prompt) for prompt in few.prompts()] == [1] * 30
    assert few.notes[0].startswith("auto: asked singly: 30 items cannot show that 98 %")
    assert "63 can" in few.notes[0]
    short = await auto(batching, good_up_to(8), ITEMS[:100])
    assert len(short.prompts()) == 100
    assert "the list has no items beyond a sample of 100" in short.notes[0]
    just = await auto(batching, good_up_to(8), ITEMS[:100], calibration_items=63)
    assert just.notes[0].startswith("auto: 8 at once")


async def test_labels_of_which_few_are_answered_right_need_a_larger_sample(batching: Any, tmp_path: Path) -> None:
    labelled(tmp_path / "known.jsonl", 80, lambda n: right(f"item {n}") if n % 2 else wrong(f"item {n}"))
    done = await auto(batching, good_up_to(8), ITEMS[:9], calibration="known.jsonl", base=tmp_path)
    assert done.notes == [
        "auto: asked singly: 80 items cannot show that 98 % of single prompting's accuracy is kept, even if no answer "
        "differs; 127 can (`calibration_items`, or the lines of a `calibration` file)"
    ]


async def test_a_choice_is_remembered_and_costs_nothing_the_next_time(batching: Any) -> None:
    first = await auto(batching, good_up_to(8))
    again = await auto(batching, good_up_to(8), before=first)
    assert again.answers == [right(item) for item in ITEMS]
    assert again.notes == [f"{first.notes[0]}; remembered from an earlier measurement"]
    assert again.result.ledger.total(purpose="calibrate").calls == 0
    assert again.result.ledger.total().calls == 38
    few = await auto(batching, good_up_to(8), ITEMS[:10], before=first)
    assert few.result.ledger.total().calls == 2


@pytest.mark.parametrize(
    "change",
    [
        {"instruction": "Is it odd?"},
        {"labels": {"yes": "it is even", "no": ""}},
        {"format": "json"},
        {"examples": [{"item": "item 2", "answer": "yes"}]},
        {"accuracy_floor": 0.97},
        {"stop": "never"},
        {"calibration_items": 90},
        {"item": "Look: {{ item }}"},
    ],
)
async def test_another_task_or_floor_is_measured_anew(batching: Any, change: dict[str, Any]) -> None:
    first = await auto(batching, good_up_to(1), calibration_items=70)
    other = await auto(batching, good_up_to(1), before=first, **{"calibration_items": 70, **change})
    assert other.result.status == "ok"
    assert other.result.ledger.total(purpose="calibrate").calls > 0


async def test_single_prompting_is_remembered_too_and_a_calibration_that_the_budget_ended_is_not(
    batching: Any,
) -> None:
    weak = await auto(batching, good_up_to(1))
    assert (await auto(batching, good_up_to(1), before=weak)).result.ledger.total().calls == len(ITEMS)
    broken = await auto(batching, good_up_to(8), budget={"calls": 120})
    assert any("the budget ended while" in note for note in broken.notes)
    assert (await auto(batching, good_up_to(8), before=broken)).notes[0].startswith("auto: 8 at once")


async def test_a_budget_that_ends_the_calibration_keeps_what_was_answered(batching: Any) -> None:
    whole = await auto(batching, good_up_to(8))
    spent = whole.result.ledger.total()
    limit = (spent.prompt + spent.completion) // 2
    done = await auto(batching, good_up_to(8), budget={"tokens": limit})
    total = done.result.ledger.total()
    assert total.prompt + total.completion <= limit
    assert sum(answer is not None for answer in done.answers) >= 100
    assert all(answer in (None, right(item)) for item, answer in zip(ITEMS, done.answers, strict=True))
    assert any(note.startswith("ended early: the budget of ") for note in done.notes)
    shares = [detail.share.total for detail in done.answers.details]
    assert sum(shares) == total.prompt + total.completion


async def test_left_overs_of_the_sample_are_asked_of_the_last_model_once(batching: Any) -> None:
    def forgets(items: Sequence[str]) -> list[str | None]:
        return [None if len(items) > 1 and number(item) % 10 == 0 else right(item) for item in items]

    done = await batching(
        ITEMS, forgets, lambda items: [right(item) for item in items], batch_size="auto", last="small",
        instruction=INSTRUCTION,
    )  # fmt: skip
    assert done.answers == [right(item) for item in ITEMS]
    asked = [prompt[0] for prompt in done.prompts("small")]
    assert len(asked) == len(set(asked))
    assert done.notes[0].startswith("auto: 32 at once")


async def test_free_answers_are_held_against_each_other_by_what_they_say(batching: Any) -> None:
    def words(items: Sequence[str]) -> list[str | None]:
        return [f"{'The ' if len(items) > 1 else ''}Answer {number(item)}" for item in items]

    done = await auto(batching, words, labels=None)
    assert done.notes[0].startswith("auto: 32 at once")
