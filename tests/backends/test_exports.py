from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import laconic.backends
from laconic.backends import _HOMES, __all__


def test_public_names_are_sorted_and_each_has_one_home() -> None:
    constants = [name for name in __all__ if name.isupper()]
    classes = [name for name in __all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in __all__ if name[0].islower()]
    assert [*sorted(constants), *sorted(classes), *sorted(functions)] == __all__
    assert sorted(name for names in _HOMES.values() for name in names) == sorted(__all__)


@pytest.mark.parametrize("name", __all__)
def test_every_public_name_is_there(name: str) -> None:
    home = next(module for module, names in _HOMES.items() if name in names)
    assert getattr(laconic.backends, name) is getattr(importlib.import_module(f"laconic.backends.{home}"), name)
    assert name in dir(laconic.backends)


def test_editors_see_the_same_names() -> None:
    tree = ast.parse(Path(laconic.backends.__file__ or "").read_text(encoding="utf-8"))
    seen = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == {(module, name) for module, names in _HOMES.items() for name in names}


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Backends'"):
        laconic.backends.Backends  # noqa: B018  # asking for it is the test


def test_importing_is_light() -> None:
    code = (
        "import sys\n"
        "from laconic.backends import catalogue, local, opening, pull, replay, scripted, tokenizers\n"
        "heavy = {'httpx', 'aiohttp', 'jinja2', 'tokenizers', 'tiktoken', 'huggingface_hub', 'xllamacpp', 'filelock',"
        " 'pydantic', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
