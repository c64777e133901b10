"""Shares of the cost add up to what was spent, to the token."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.accounting.call import Call
from laconic.backends.usage import Usage
from laconic.planners.batch.answers import Answers, Detail, Share, shares, split, spread

CALLS = st.lists(
    st.builds(
        lambda node, prompt, cached, completion, replayed: Call(
            "run", node, model="m", **{"avoided" if replayed else "usage": Usage(prompt + cached, completion, cached)}
        ),
        st.sampled_from(["a", "b", "c", "unknown"]),
        st.integers(0, 900),
        st.integers(0, 900),
        st.integers(0, 900),
        st.booleans(),
    ),
    max_size=8,
)
ASKED = st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 5), unique=True).map(tuple))


@settings(deadline=None)
@given(CALLS, ASKED)
def test_the_shares_add_up_to_the_calls(calls: list[Call], asked: dict[str, tuple[int, ...]]) -> None:
    found = shares(6, calls, asked)
    used = [call.avoided or call.usage for call in calls]
    assert sum(share.prompt for share in found) == sum(usage.prompt or 0 for usage in used)
    assert sum(share.cached for share in found) == sum(usage.cache_read or 0 for usage in used)
    assert sum(share.completion for share in found) == sum(usage.completion or 0 for usage in used)
    assert sum(share.calls for share in found) == len(calls)


def test_only_those_pay_whom_a_call_was_about() -> None:
    call = Call("run", "a", model="m", usage=Usage(11, 2))
    assert shares(3, [call], {"a": (2, 0)}) == [Share(5, 0, 1, 0), Share(), Share(6, 0, 1, 1)]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_parts_differ_by_one_at_most(amount: int, parts: int) -> None:
    found = split(amount, parts)
    assert sum(found) == amount
    assert max(found) - min(found) <= 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=12), st.lists(st.integers(0, 99), min_size=3, max_size=3))
def test_equal_items_share_one_answer_and_its_cost(shown: list[str], costs: list[int]) -> None:
    texts = list(dict.fromkeys(shown))
    outcomes = [Detail(answer=text.upper(), by="batch") for text in texts]
    spent = [Share(cost, cost // 2, cost // 3, 1) for cost in costs[: len(texts)]]
    answers = Answers(spread(shown, texts, outcomes, spent))
    assert answers == [text.upper() for text in shown]
    assert sum(detail.share.total for detail in answers.details) == sum(share.total for share in spent)
    assert sum(detail.share.calls for detail in answers.details) == len(texts)
