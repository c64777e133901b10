from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Context, Flow, Node, Runtime, Template, kind

MODELS = {"large": {"backend": "scripted", "model": "script"}}


@kind("test_echo")
class Echo(Node):
    """Gives back its text."""

    text: Template = ""

    async def run(self, ctx: Context) -> Any:
        return ctx.render(self.text)


@kind("test_fail")
class Fail(Node):
    """Fails as often as it is told, then gives its text."""

    text: Template = ""
    times: int = 1_000_000
    error: str = "broken"

    async def run(self, ctx: Context) -> Any:
        if ctx.attempt <= self.times:
            raise ValueError(self.error)
        return ctx.render(self.text)


@kind("test_gate")
class Gate(Node):
    """Waits until somebody opens the gate of its name."""

    text: Template = ""
    gate: str

    async def run(self, ctx: Context) -> Any:
        await GATES[self.gate].wait()
        return ctx.render(self.text)


@kind("test_open")
class Open(Node):
    """Opens a gate."""

    text: Template = ""
    gate: str

    async def run(self, ctx: Context) -> Any:
        GATES[self.gate].set()
        return ctx.render(self.text)


GATES: dict[str, asyncio.Event] = {}


@pytest.fixture
def gates() -> dict[str, asyncio.Event]:
    GATES.clear()
    GATES.update({name: asyncio.Event() for name in "ab"})
    return GATES


@pytest.fixture
def flow() -> Callable[..., Flow]:
    def make(nodes: dict[str, Any], outputs: dict[str, Any] | None = None, **more: Any) -> Flow:
        return Flow(name="test", models=MODELS, nodes=nodes, outputs=outputs or {}, **more)

    return make


def scripted(answer: Callable[[Request], str] | None = None, **more: Any) -> Runtime:
    """A runtime in which the role `large` answers with the last message, in capitals."""
    answer = answer or (lambda request: (request.messages or ())[-1].content.upper())
    return Runtime(backends={"large": ScriptedBackend(answer)}, **more)


@pytest.fixture
def runtime() -> Runtime:
    return scripted()
