"""`published:batchprompt`: instructions once a batch, no answers, and said in words what that leaves out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from laconic.accounting import Call, Price, Total, View, view
from laconic.backends.usage import NOTHING, UNKNOWN, Usage

Make = Callable[..., Call]
NAME = "published:batchprompt"

ROUNDS = [f"sort/batch-{batch}/round-{number}{half}" for batch in "12" for number in "12" for half in ("", "/half-1")]
PLACES = [*ROUNDS, "round-1/sort/batch-1/round-2", "sort/batch-10/round-1", "sort/left-3", "answer"]


def batches(make: Make) -> list[Call]:
    """Two batches of three and two rounds that begin with the same 100 tokens."""
    return [
        make(160, 30, node="sort/batch-1/round-1", instruction=100),
        make(170, 30, node="sort/batch-2/round-1", instruction=100),
        make(160, 30, node="sort/batch-1/round-2", instruction=100),
        make(130, 12, node="sort/batch-1/round-3", instruction=100),
        make(170, 30, node="sort/batch-2/round-2", instruction=100),
    ]


def test_the_instruction_counts_once_a_batch_and_answers_do_not(make: Make) -> None:
    seen = view(NAME, batches(make))
    assert (seen.total.prompt, seen.total.completion, seen.total.total) == (790 - 3 * 100, 0, 490)
    assert seen.honest == Total.of(batches(make))
    assert seen.leaves_out == (
        "3 instructions that later calls of a batch sent again: 300 tokens",
        "5 answers: 132 tokens",
    )
    assert "490 tokens (honest: 922)" in seen.show()


def test_rounds_of_another_run_or_item_or_batch_are_others(make: Make) -> None:
    call = make(160, 30, node="each[0]/batch-1/round-1", instruction=100)
    apart = [call, replace(call, run="r2"), replace(call, item="2"), replace(call, node="each[0]/batch-11/round-1")]
    assert view(NAME, apart).total.prompt == 4 * 160
    assert view(NAME, [*apart, replace(call, node="each[0]/batch-1/round-2")]).total.prompt == 4 * 160 + 60


def test_halves_belong_to_their_batch(make: Make) -> None:
    halves = [
        make(120, 9, node=f"sort/batch-1/round-1/{half}", purpose="repair", instruction=100)
        for half in ("half-1", "half-2/half-1")
    ]
    assert view(NAME, [batches(make)[0], *halves]).total.prompt == 160 + 20 + 20


def test_prompts_of_which_no_instruction_was_counted_are_summed_whole_and_named(make: Make) -> None:
    seen = view(NAME, [*batches(make), make(90, 2, node="sort/left-3"), make(80, 2, node="sort/batch-1/round-4")])
    assert seen.total.prompt == 490 + 170
    assert seen.leaves_out[-1] == (
        "nothing of 2 prompts without a counted instruction, which are summed whole: 170 tokens"
    )


def test_failed_calls_are_left_out_and_begin_no_batch(make: Make) -> None:
    failed = make(160, 0, node="sort/batch-1/round-1", instruction=100, status="failed")
    discarded = make(160, 9, node="sort/batch-2/round-1", instruction=100, status="discarded")
    seen = view(NAME, [failed, discarded, *batches(make)])
    assert seen.total.prompt == 490
    assert "2 calls that failed, were cut off or discarded: 329 tokens" in seen.leaves_out


def test_answers_that_were_there_already_count_as_asked_for(make: Make) -> None:
    sent = batches(make)
    replayed = [replay(call) for call in sent]
    assert view(NAME, replayed).total.prompt == view(NAME, sent).total.prompt == 490
    assert view(NAME, replayed).leaves_out == view(NAME, sent).leaves_out


def test_unknown_is_not_zero_and_what_the_paper_does_not_say_is_unknown(make: Make) -> None:
    lost = make(usage=UNKNOWN, node="sort/batch-1/round-4", instruction=100)
    total = view(NAME, [*batches(make), lost], {"large": Price(prompt=Decimal(1), completion=Decimal(1))}).total
    assert (total.show("prompt"), total.show("completion")) == ("≥ 490", "0")
    assert [total.show(field) for field in ("cache_read", "uncached", "cost")] == ["unknown"] * 3


def test_of_nothing_nothing_is_left_out() -> None:
    assert view(NAME, []) == View(
        name=NAME, description=view(NAME, []).description, leaves_out=(), total=Total(), honest=Total()
    )


def replay(call: Call) -> Call:
    return Call(call.run, call.node, model=call.model, status="replayed", usage=NOTHING, avoided=call.usage,
                attempt=0, instruction=call.instruction)  # fmt: skip


@given(data=st.data())
def test_it_is_never_more_than_the_honest_sum_and_what_it_leaves_out_makes_up_the_rest(
    data: st.DataObject, any_calls: st.SearchStrategy[list[Call]]
) -> None:
    calls = [replace(call, node=data.draw(st.sampled_from(PLACES))) for call in data.draw(any_calls)]
    seen = view(NAME, calls)
    named = [line for line in seen.leaves_out if not line.startswith("nothing")]
    figures = [line.rpartition(": ")[2].removesuffix(" tokens").lstrip("≥≈≳ ").replace(",", "") for line in named]
    left = sum(int(figure) for figure in figures if figure != "unknown")
    assert 0 <= seen.total.total <= seen.honest.virtual_total
    assert seen.total.total + left == seen.honest.virtual_total


@given(
    rounds=st.lists(st.lists(st.integers(0, 500), min_size=1, max_size=5), max_size=4), instruction=st.integers(0, 300)
)
def test_each_batch_is_short_of_all_its_instructions_but_one(
    rounds: list[list[int]], instruction: int, make: Make
) -> None:
    calls = [
        make(instruction + items, 9, node=f"sort/batch-{batch}/round-{number}", instruction=instruction)
        for batch, sizes in enumerate(rounds)
        for number, items in enumerate(sizes, start=1)
    ]
    total = view(NAME, calls).total
    assert total.prompt == sum(map(sum, rounds)) + len(rounds) * instruction
    assert total.total == total.prompt


def test_cached_tokens_are_prompt_tokens_like_any(make: Make) -> None:
    cached = make(usage=Usage(160, 30, 96, 0, 0), node="sort/batch-1/round-2", instruction=100)
    assert view(NAME, [batches(make)[0], cached]).total.prompt == 160 + 60
