"""`laconic token-router` where PyTorch is not installed."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from typer.testing import Result


@pytest.mark.parametrize(
    "args",
    [
        ("label", "flow.yaml", "--data", "questions.jsonl", "--to", "labels"),
        ("train", "labels", "--out", "router.safetensors"),
        ("eval", "labels", "--router", "router.safetensors"),
    ],
)
@pytest.mark.usefixtures("questions")
def test_the_missing_extra_is_named(
    laconic: Callable[..., Result], args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    told = laconic("token-router", *args)
    assert told.exit_code == 1
    assert 'pip install "laconic[hf]"' in told.stderr
