from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field

from laconic.backends import Request, ScriptedBackend
from laconic.errors import ToolError
from laconic.orchestrator import Context, Flow, Result, Runtime, Tool, tool

Script = Callable[[Request], str]


@tool("test_book")
class Book(Tool):
    """Answers from `pages`; records what it is asked; fails for what is not there."""

    class Arguments(BaseModel):
        query: str

    description: str = "pages\nof a book"
    pages: dict[str, str] = Field(default_factory=dict)

    async def call(self, ctx: Context, args: Arguments) -> str:
        ASKED.append(args.query)
        if args.query not in self.pages:
            raise ToolError(f"no page about {args.query!r}")
        return self.pages[args.query]


@tool("test_meeting")
class Meeting(Tool):
    """Answers only once two callers are there at the same time."""

    class Arguments(BaseModel):
        query: str

    async def call(self, ctx: Context, args: Arguments) -> str:
        await asyncio.wait_for(BARRIER[0].wait(), 5)
        return f"met about {args.query}"


@tool("test_asking")
class Asking(Tool):
    """Asks a model."""

    class Arguments(BaseModel):
        query: str

    async def call(self, ctx: Context, args: Arguments) -> str:
        return (await ctx.complete(args.query, model="large", purpose="tool", max_tokens=8)).text


@tool("test_broken")
class Broken(Tool):
    """Always fails in a way its author did not expect."""

    class Arguments(BaseModel):
        query: str

    async def call(self, ctx: Context, args: Arguments) -> str:
        raise ZeroDivisionError("division by zero")


ASKED: list[str] = []
BARRIER: list[asyncio.Barrier] = []


@pytest.fixture
def asked() -> list[str]:
    """What the book was asked, in order."""
    ASKED.clear()
    return ASKED


@pytest.fixture
def meeting() -> None:
    BARRIER[:] = [asyncio.Barrier(2)]


class Answering:
    """Runs one node of a kind against scripted models and keeps what they were asked."""

    def __init__(self) -> None:
        self.large: ScriptedBackend | None = None
        self.small: ScriptedBackend | None = None

    async def __call__(
        self,
        node: dict[str, Any],
        large: Script | list[str],
        small: Script | list[str] | None = None,
        *,
        tools: dict[str, Any] | None = None,
        question: str = "Who?",
        budget: dict[str, Any] | None = None,
        failures: Callable[[int], Exception | None] = lambda number: None,
    ) -> Result:
        self.large = ScriptedBackend(_script(large), model="L", context=100_000, failures=failures)
        self.small = ScriptedBackend(_script(small or []), model="S", context=100_000)
        flow = Flow(
            name="test",
            inputs={"question": str},
            models={role: {"backend": "scripted", "model": role} for role in ("large", "small")},
            tools=tools or {},
            nodes={"answer": {"question": "{{ question }}", **node}},
            outputs={"answer": "{{ answer }}"},
            budget=budget,
        )
        async with Runtime(backends={"large": self.large, "small": self.small}) as runtime:
            return await flow.run(question=question, runtime=runtime)

    def requests(self, role: str = "large") -> list[Request]:
        backend = self.large if role == "large" else self.small
        assert backend is not None
        return backend.requests


def _script(answers: Script | list[str]) -> Script:
    if callable(answers):
        return answers
    left = iter(answers)
    return lambda request: next(left)


@pytest.fixture
def answering() -> Answering:
    return Answering()
