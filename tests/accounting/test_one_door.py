"""There is one door to the models and one way into the ledger; nothing else makes or changes what a call used.

Read from the source: the promise "every token has an owner" holds as long as no other line of code can break it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import laconic

ROOT = Path(laconic.__file__ or "").resolve().parent
FLOORS = ["backends", "accounting", "orchestrator", "tools", "planners", "routers", "agents", "evals", "cli"]
METER = "accounting/meter.py"


def last_name(node: ast.expr) -> str:
    """`backend` of `model.backend`, of `backend` and of `backends["x"].backend`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def offences(source: str, file: str) -> list[str]:
    """What in `source`, the text of `file` (relative to the package), goes past the door."""
    found = []
    in_backends = file.startswith("backends/")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, method = last_name(node.func.value).lower(), node.func.attr
            if method == "append" and owner.endswith("ledger") and file not in (METER, "accounting/ledger.py"):
                found.append(f"{file}:{node.lineno}: appends to a ledger")
            if method == "write_call" and file not in ("accounting/ledger.py", "accounting/database.py"):
                found.append(f"{file}:{node.lineno}: writes a call past the ledger")
            if method == "complete" and owner.endswith("backend") and file != METER and not in_backends:
                found.append(f"{file}:{node.lineno}: calls a backend")
        if isinstance(node, ast.Call) and last_name(node.func) == "replace" and not in_backends:
            about_usage = any(keyword.arg in ("usage", "avoided") for keyword in node.keywords)
            if about_usage or any("usage" in last_name(argument).lower() for argument in node.args[:1]):
                found.append(f"{file}:{node.lineno}: replaces a usage")
        if (
            isinstance(node, ast.Call)
            and last_name(node.func) == "Usage"
            and not file.startswith(("backends/", "accounting/"))
        ):
            found.append(f"{file}:{node.lineno}: makes a usage")
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and not in_backends:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target)]
            if any(isinstance(part, ast.Attribute) and part.attr in ("usage", "avoided") for part in parts):
                found.append(f"{file}:{node.lineno}: assigns a usage")
        if isinstance(node, ast.Call) and last_name(node.func) in ("setattr", "__setattr__", "force_setattr"):
            values = [part.value for part in node.args if isinstance(part, ast.Constant)]
            found += [f"{file}:{node.lineno}: assigns a usage" for value in values if value in ("usage", "avoided")]
    return found


def sources() -> list[Path]:
    return [*ROOT.glob("*.py"), *(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))]


def test_nothing_goes_past_the_door() -> None:
    paths = sources()
    assert len(paths) > 20
    found = [
        line for path in paths for line in offences(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    ]
    assert found == []


def test_the_meter_is_the_door() -> None:
    source = (ROOT / METER).read_text(encoding="utf-8")
    elsewhere = [line.split(": ")[1] for line in offences(source, "orchestrator/meter.py")]
    assert sorted(elsewhere) == ["appends to a ledger", "calls a backend"]


@pytest.mark.parametrize(
    ("line", "offence"),
    [
        ("self.ledger.append(call)", "appends to a ledger"),
        ("run_ledger.append(call)", "appends to a ledger"),
        ("self.database.write_call(call)", "writes a call past the ledger"),
        ("await model.backend.complete(request)", "calls a backend"),
        ("await self._backend.complete(request)", "calls a backend"),
        ("msgspec.structs.replace(call, usage=NOTHING)", "replaces a usage"),
        ("replace(call.usage, prompt=0)", "replaces a usage"),
        ("total = Usage(1, 2)", "makes a usage"),
        ("call.usage = other", "assigns a usage"),
        ("one.usage, two = pair", "assigns a usage"),
        ("result.usage += more", "assigns a usage"),
        ("object.__setattr__(call, 'usage', other)", "assigns a usage"),
    ],
)
def test_every_way_past_the_door_is_seen(line: str, offence: str) -> None:
    source = f"async def step():\n    {line}\n"
    assert offences(source, "planners/trick.py") == [f"planners/trick.py:2: {offence}"]


@pytest.mark.parametrize(
    "line",
    ["await ctx.complete(prompt)", "lines.append(line)", "text.replace('usage', 'use')", "usage = call.usage"],
)
def test_what_is_no_way_past_is_let_go(line: str) -> None:
    assert offences(f"async def step():\n    {line}\n", "planners/plain.py") == []
