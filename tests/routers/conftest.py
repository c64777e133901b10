from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Flow, Result

TIERS = {
    "basic": {"kind": "prompt", "model": "small", "prompt": "basic: {{ question }}"},
    "middle": {"kind": "prompt", "model": "small", "prompt": "middle: {{ question }}"},
    "advanced": {"kind": "prompt", "model": "large", "prompt": "advanced: {{ question }}"},
}
"""Three ways to answer, as nodes of a flow."""


@pytest.fixture
def routed() -> Callable[..., Any]:
    """Run a flow of the three tiers and a node `answer` as described; both models repeat what they are asked."""

    async def run(
        answer: dict[str, Any],
        *,
        small: Any = None,
        large: Any = None,
        tiers: dict[str, Any] = TIERS,
        **more: Any,
    ) -> Result:
        flow = flow_of(answer, tiers, **more)
        backends = {"small": scripted(small), "large": scripted(large)}
        return await flow.run(question="why?", backends=backends)

    return run


def flow_of(answer: dict[str, Any], tiers: dict[str, Any] = TIERS, **more: Any) -> Flow:
    return Flow(
        name="routed",
        inputs={"question": "str"},
        models={role: {"backend": "scripted", "model": role} for role in ("small", "large")},
        nodes={**tiers, "answer": answer},
        outputs={"answer": "{{ answer }}"},
        **more,
    )


def scripted(answer: Any) -> ScriptedBackend:
    def echo(request: Request) -> str:
        assert request.messages is not None
        return request.messages[-1].content

    return ScriptedBackend(answer if answer is not None else echo)
