"""vLLM's own arguments: from Python names and plain values, as the `options` of a flow have them, to a command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import FlowError

OURS = {
    "api_key": "a server that Laconic starts has a key of its own",
    "host": "a server that Laconic starts listens on this machine alone",
    "max_model_len": "write `context`",
    "model": "write it as the `model` itself",
    "port": "Laconic finds a free one",
    "served_model_name": "requests use the name of the model",
}
"""Arguments that are not options, and why."""


def command_line(options: Mapping[str, Any]) -> list[str]:
    """`{tensor_parallel_size: 2, enforce_eager: true}` as `--tensor-parallel-size 2 --enforce-eager`.

    False becomes `--no-...`, a mapping JSON, a list several values; None leaves the argument out. Raises `FlowError`
    for what Laconic decides itself, and for a value that no command line can hold.
    """
    words: list[str] = []
    for name, value in options.items():
        plain = name.replace("-", "_")
        if plain in OURS:
            raise FlowError(f"`{name}` is no option of a vLLM model: {OURS[plain]}")
        flag = plain.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", *_values(name, value)]
    return words


def environment(options: Mapping[str, Any]) -> dict[str, str]:
    """The variables that `env` of the options sets. Raises `FlowError` if it is no mapping of names to values."""
    given = options.get("env") or {}
    if not isinstance(given, Mapping) or not all(isinstance(value, str | int | float) for value in given.values()):
        raise FlowError(f"the option `env` of a vLLM model is {{NAME: value}}, not {given!r}")
    return {str(name): str(value) for name, value in given.items()}


def _values(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [json.dumps(value)]
    if isinstance(value, list | tuple):
        return [word for part in value for word in _values(name, part)]
    if isinstance(value, str | int | float):
        return [str(value)]
    raise FlowError(f"the option `{name}` of a vLLM model cannot be {value!r}")
