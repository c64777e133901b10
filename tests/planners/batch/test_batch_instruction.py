"""What `published:batchprompt` needs to know of a batch is in the ledger."""

from __future__ import annotations

import re
from typing import Any

from laconic import Flow, Runtime
from laconic.backends import Request, ScriptedBackend
from laconic.orchestrator import Result


async def asked(answer: Any, items: list[str], **node: Any) -> Result:
    sort = {"kind": "batch", "items": items, "instruction": "Is it a fruit?", "labels": ["yes", "no"], **node}
    models = {"large": {"backend": "scripted", "model": "script"}}
    runtime = Runtime(backends={"large": ScriptedBackend(answer)})
    return (await Flow(name="sort", models=models, nodes={"sort": sort}).run(runtime=runtime)).raise_for_status()


def yes_to_all(request: Request) -> str:
    shown = (request.messages or ())[-1].content
    return "\n".join(f"{number}: yes" for number in re.findall(r"^Input (\d+):", shown, re.MULTILINE)) or "yes"


async def test_each_round_says_how_long_its_instruction_is() -> None:
    result = await asked(
        yes_to_all, ["apple", "pear", "plum", "fig", "lime", "nut"], batch_size=3, votes=3, stop="never"
    )
    calls = result.ledger.calls
    (instruction,) = {call.instruction for call in calls}
    assert len(calls) == 6
    assert instruction
    assert all(0 < instruction <= (call.usage.prompt or 0) for call in calls)
    seen = result.ledger.view("published:batchprompt")
    assert seen.total.total == sum(call.usage.prompt or 0 for call in calls) - 4 * instruction


async def test_halves_say_it_too_and_a_prompt_about_a_single_item_does_not() -> None:
    def only_single(request: Request) -> str:
        return "I would rather not say." if "apple" in request.messages[-1].content else yes_to_all(request)  # type: ignore[index]  # there are messages

    result = await asked(only_single, ["apple", "pear", "plum"], batch_size=4)
    told = {call.node: call.instruction is not None for call in result.ledger.calls}
    assert told == {
        "sort/batch-1/round-1": True,
        "sort/batch-1/round-1/half-1": True,
        "sort/batch-1/round-1/half-1/half-1": False,
        "sort/batch-1/round-1/half-1/half-2": False,
        "sort/batch-1/round-1/half-2": False,
    }
