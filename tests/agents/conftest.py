from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from laconic import Flow, Result, Runtime
from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Node

Turn = Callable[[str, Request], str | Awaitable[str]]
"""What an agent says: from its name and its prompt. Where it is asked for one token: A, it agrees; B, it objects."""


def speaker(request: Request) -> str:
    """Whose turn a prompt is; "" for what is asked before anybody speaks."""
    _, told, rest = (request.messages or ())[0].content.partition("You are ")
    return rest.split(".", 1)[0] if told else ""


class Script:
    """A model that says for each agent what a list or a function says, in turn."""

    def __init__(self, lines: Mapping[str, Sequence[str]] | Turn, failures: Sequence[Exception | None] = ()) -> None:
        self.left = {name: list(said) for name, said in lines.items()} if isinstance(lines, Mapping) else None
        self.lines = lines
        self.backend = ScriptedBackend(self._answer, failures=failures)

    def _answer(self, request: Request) -> str | Awaitable[str]:
        name = speaker(request)
        if self.left is not None:
            return self.left[name].pop(0)
        assert callable(self.lines)
        return self.lines(name, request)

    @property
    def asked(self) -> list[str]:
        """Who was asked, call by call."""
        return [speaker(request) for request in self.backend.requests]

    def shown_to(self, name: str) -> list[str]:
        """Every prompt of an agent, as one text each."""
        prompts = [request for request in self.backend.requests if speaker(request) == name]
        return ["\n".join(turn.content for turn in request.messages or ()) for request in prompts]


@pytest.fixture
def converse() -> Callable[..., tuple[Result, Script]]:
    """Run one team on a scripted model: the result, and the script with what everybody was shown."""

    def run(
        team: Node,
        lines: Mapping[str, Sequence[str]] | Turn,
        failures: Sequence[Exception | None] = (),
        **more: Any,
    ) -> tuple[Result, Script]:
        script = Script(lines, failures)
        flow = Flow(
            name="talk",
            models={"large": {"backend": "scripted", "model": "scripted"}},
            nodes={"team": team},
            outputs={"answer": "{{ team }}"},
            **more,
        )
        return flow.run_sync(runtime=Runtime(backends={"large": script.backend})), script

    return run
