"""`published:optima` and `published:autoform`: messages alone, and in words what that leaves out."""

from __future__ import annotations

import pytest

from laconic.accounting import Call, Total, view
from laconic.backends.usage import NOTHING, Usage


def call(prompt: int, completion: int, purpose: str = "message", agent: str = "ann", **more: object) -> Call:
    usage = Usage(prompt, completion, 0, 0, 0)
    return Call("r", "team/1-ann", "", agent, model="large", purpose=purpose, usage=usage, **more)  # type: ignore[arg-type]


CALLS = [
    call(100, 20),
    call(140, 30, agent="ben"),
    call(150, 25, "repair"),
    call(60, 1, "feedback", "cal"),
    call(80, 40, "summary"),
    call(90, 70, "format", ""),
    call(11, 2, "judge"),
    call(33, 9, status="discarded"),
]


@pytest.mark.parametrize("name", ["published:optima", "published:autoform"])
def test_only_messages_count_and_the_rest_is_named(name: str) -> None:
    seen = view(name, CALLS)
    assert (seen.total.prompt, seen.total.completion, seen.total.total, seen.total.calls) == (0, 50, 50, 2)
    assert seen.honest == Total.of(CALLS)
    assert seen.leaves_out == (
        "2 prompts of messages: 240 tokens",
        "1 repairs of messages: 175 tokens",
        "1 calls for feedback: 61 tokens",
        "1 summaries: 120 tokens",
        "1 calls that chose a format, of no agent: 160 tokens",
        "1 calls with the purpose 'judge': 13 tokens",
        "1 calls that failed, were cut off or discarded: 42 tokens",
    )
    assert seen.total.show("cost") == seen.total.show("cache_read") == "unknown"


def test_what_is_counted_and_what_is_left_out_are_the_honest_sum() -> None:
    seen = view("published:optima", CALLS)
    left = [int(line.rsplit(": ", 1)[1].split()[0]) for line in seen.leaves_out]
    assert seen.total.total + sum(left) == seen.honest.total


def test_an_answer_that_was_there_counts_as_sent_and_one_not_told_is_a_lower_bound() -> None:
    replayed = Call(
        "r", "team/1-ann", "", "ann", model="large", purpose="message", status="replayed", usage=NOTHING,
        avoided=Usage(100, 20, 0, 0, 0),
    )  # fmt: skip
    assert view("published:optima", [replayed]).total.completion == 20
    untold = Call("r", "team/2-ben", "", "ben", model="large", purpose="message", usage=Usage(100, None))
    assert view("published:optima", [replayed, untold]).total.show("completion") == "≥ 20"


def test_a_run_without_agents_has_no_messages() -> None:
    seen = view("published:autoform", [call(10, 5, "message", "")])
    assert seen.total.total == 0
    assert seen.leaves_out == ("1 calls with the purpose 'message', of no agent: 15 tokens",)
