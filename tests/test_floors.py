"""Imports only go down the floors, and importing the package pulls in nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GROUND = {"errors", "lazy"}
BELOW = {
    "backends": set(),
    "accounting": {"backends", "version"},
    "orchestrator": {"backends", "accounting"},
    "tools": {"backends", "accounting", "orchestrator"},
    "planners": {"backends", "accounting", "orchestrator", "tools"},
    "routers": {"backends", "accounting", "orchestrator", "tools"},
    "agents": {"backends", "accounting", "orchestrator", "tools"},
    "evals": {
        "backends",
        "accounting",
        "orchestrator",
        "tools",
        "planners",
        "routers",
        "agents",
        "workflows",
        "version",
    },
    "cli": {
        "backends",
        "accounting",
        "orchestrator",
        "tools",
        "planners",
        "routers",
        "agents",
        "evals",
        "workflows",
        "version",
    },
}


def floors_imported(path: Path, floor: str) -> set[str]:
    depth = len(path.relative_to(ROOT).parts) - 1
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level > depth:
                found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
            elif node.level == 0 and node.module and node.module.split(".")[0] == "laconic":
                found.add(f"absolute import of {node.module}")
    return found - {floor}


@pytest.mark.parametrize("floor", sorted(BELOW))
def test_imports_only_go_down(floor: str) -> None:
    files = sorted((ROOT / floor).rglob("*.py"))
    assert files
    wrong = {str(path.relative_to(ROOT)): floors_imported(path, floor) - GROUND - BELOW[floor] for path in files}
    assert {path: above for path, above in wrong.items() if above} == {}


@pytest.mark.parametrize("statement", ["import laconic", "from laconic import Flow, Ledger, Runtime"])
def test_importing_pulls_in_nothing_heavy(statement: str) -> None:
    heavy = {"torch", "transformers", "pandas", "matplotlib", "networkx", "sklearn", "tokenizers", "typer", "bm25s"}
    heavy |= {"sqlglot", "sqlalchemy", "skops"}
    code = f"import sys; {statement}; print(sorted(set(sys.modules) & {heavy!r}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    assert printed.strip() == "[]"


def test_the_public_names_are_sorted_and_there() -> None:
    import laconic

    assert list(laconic.__all__) == sorted(laconic.__all__)
    assert all(getattr(laconic, name) is not None for name in laconic.__all__)
