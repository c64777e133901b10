from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Flow, Result, Runtime

Use = Callable[..., Awaitable[Result]]


@pytest.fixture
def use(tmp_path: Path) -> Use:
    """Run a flow of one node that calls one tool, with `args`; the tool's answer is the output `said`."""

    async def run(
        tool: dict[str, Any], args: Any, answer: Callable[[Request], Any] = lambda _: "", **more: Any
    ) -> Result:
        flow = Flow(
            name="one",
            inputs={"args": "any"},
            models={"large": {"backend": "scripted", "model": "script"}},
            tools={"it": tool},
            nodes={"step": {"kind": "tool", "tool": "it", "args": "{{ args }}"}},
            outputs={"said": "{{ step }}"},
            base=tmp_path,
            **more,
        )
        async with Runtime(backends={"large": ScriptedBackend(answer)}) as runtime:
            return await flow.run(args=args, runtime=runtime)

    return run
