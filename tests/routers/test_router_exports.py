from __future__ import annotations

import laconic.routers as routers
from laconic.routers.check import CHECKS
from laconic.routers.decider import DECIDERS


def test_public_names_are_there() -> None:
    assert set(routers.__all__) <= set(dir(routers))
    assert all(getattr(routers, name) is not None for name in routers.__all__)


def test_every_decider_and_check_that_is_announced_can_be_found() -> None:
    for registry, least in ((DECIDERS, {"always", "llm", "logprob", "rules"}), (CHECKS, {"agrees", "executes"})):
        assert least <= set(registry.names())
        assert all(registry.find(name).kind == name for name in registry.names())
