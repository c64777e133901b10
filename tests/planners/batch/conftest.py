from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from laconic.accounting.store import Store
from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Flow, Result, Runtime

Script = Callable[[Request], str]
Judge = Callable[[Sequence[str]], Sequence[str | None]]
"""From the items of a prompt to what is answered to each; None for no line at all."""


@dataclass
class Done:
    """What came of a batch, and of what."""

    result: Result
    backends: dict[str, ScriptedBackend]
    runtime: Runtime
    """Closed; it knows what its runs found out."""

    @property
    def answers(self) -> Any:
        return self.result.values["answer"]

    @property
    def notes(self) -> list[str]:
        return [note for record in self.result.nodes if record.path == "answer" for note in record.notes]

    def prompts(self, role: str = "large") -> list[list[str]]:
        """The items of each prompt that was sent, in order."""
        return [shown_items(request) for request in self.backends[role].requests]


def shown_items(request: Request) -> list[str]:
    """The items that a prompt asks about."""
    assert request.messages is not None
    content = request.messages[-1].content
    if "You get several inputs" not in request.messages[0].content:
        return [content]
    return re.split(r"(?:^|\n)Input \d+: ", content)[1:]


def script_of(judge: Judge) -> Script:
    """A model that answers in the form it is asked for what `judge` says."""

    def script(request: Request) -> str:
        items = shown_items(request)
        said = judge(items)
        if len(items) == 1:
            return said[0] or ""
        return "\n".join(f"{n}: {answer}" for n, answer in enumerate(said, start=1) if answer is not None)

    return script


async def run_batch(
    items: Sequence[Any],
    large: Judge | Script,
    small: Judge | Script | None = None,
    *,
    plain: bool = False,
    budget: dict[str, Any] | None = None,
    context: int = 100_000,
    failures: Any = (),
    before: Done | None = None,
    base: Path | None = None,
    given: str = "{{ items }}",
    temperature: float = 0.0,
    **node: Any,
) -> Done:
    """Run `kind: batch` over `items` against models that answer what a judge, or if `plain` a script, says.

    `before`: what ran in the same runtime, whose models answer again.
    """

    def scripted(answer: Any) -> ScriptedBackend:
        return ScriptedBackend(answer if plain else script_of(answer), context=context, failures=failures)

    backends = {"large": scripted(large)} | ({"small": scripted(small)} if small is not None else {})
    runtime = Runtime(backends=backends, store=Store())
    if before is not None:
        backends, runtime = before.backends, before.runtime
    labels = {} if "labels" in node else {"labels": ["yes", "no"]}
    flow = Flow(
        name="batched",
        inputs={"items": list},
        models={
            role: {"backend": "scripted", "model": role, "retries": 0, "temperature": temperature} for role in backends
        },
        nodes={
            "answer": {"kind": "batch", "items": given, "instruction": "Is it so?", **labels, **node},
        },
        outputs={"answer": "{{ answer }}"},
        budget=budget,
        **({"base": base} if base is not None else {}),
    )
    async with runtime:
        return Done(await flow.run(items=list(items), runtime=runtime), backends, runtime)


@pytest.fixture(scope="session")
def batching() -> Callable[..., Any]:
    """See `run_batch`; it holds no state, so one serves all."""
    return run_batch


@pytest.fixture(scope="session")
def items_shown() -> Callable[[Request], list[str]]:
    return shown_items


@pytest.fixture(scope="session")
def scripting() -> Callable[[Judge], Script]:
    return script_of
