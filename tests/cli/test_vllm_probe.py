"""What `laconic doctor` says of a vLLM server, and which flag it names."""

from __future__ import annotations

from typing import Any

import pytest

from laconic.accounting.ledger import Ledger
from laconic.accounting.meter import Meter, MeteredModel
from laconic.backends import ScriptedBackend, ServerFacts
from laconic.cli.vllm_probe import Probed, probe, told

GOOD = Probed(spent=100, reports_cached=True, hit=True)


def facts(**more: Any) -> ServerFacts:
    known = {"caches_prefixes": True, "block": 16, "blocks": 99, "chat_fields": frozenset({"priority"})}
    return ServerFacts(server="vllm", **{**known, **more})


@pytest.mark.parametrize(
    ("about", "probed", "said"),
    [
        (facts(), GOOD, "caches prefixes, 99 blocks of 16 tokens"),
        (facts(), Probed(100, False, True), "--enable-prompt-tokens-details"),
        (facts(), Probed(100, True, False), "hybrid"),
        (facts(caches_prefixes=False), Probed(100, True, False), "--enable-prefix-caching"),
        (facts(most_logprobs=20), GOOD, "at most 20 logprobs"),
        (facts(limits_thinking=False), GOOD, "--reasoning-parser"),
        (facts(), GOOD, "--scheduling-policy priority"),
        (facts(chat_fields=None), GOOD, "ignored silently"),
    ],
)
def test_what_is_amiss_is_named_with_its_flag(about: ServerFacts, probed: Probed, said: str) -> None:
    assert any(said in line for line in told(about, probed)), told(about, probed)


def test_what_is_well_asks_for_nothing() -> None:
    assert not any("--" in line for line in told(facts(limits_thinking=True, schedules_priorities=True), GOOD))


@pytest.mark.parametrize(("cache", "hit"), [(True, True), (False, False)])
async def test_the_same_prompt_twice_shows_whether_prefixes_are_found(cache: bool, hit: bool) -> None:
    backend, ledger = ScriptedBackend("ok", block=16, cache=cache), Ledger()
    found = await probe(Meter(ledger), MeteredModel("large", backend), await backend.facts())
    assert found == Probed(spent=2 * (33 + 1), reports_cached=True, hit=hit)
    assert ledger.total(purpose="probe").total == found.spent, "it is in the ledger like any other call"
