"""A server's own token totals, read from its Prometheus text (`GET /metrics`).

llama.cpp counts computed and cached prompt tokens apart; vLLM counts all prompt tokens and, of them, the cached ones.
Both come out as `Counters`. The text format is that of Prometheus 0.0.4: `name{label="value",...} number [timestamp]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .backend import Counters

LLAMA_CPP = ("llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total", "llamacpp:tokens_predicted_total")
"""Counter names of llama.cpp: computed, cached, generated."""
VLLM = ("vllm:prompt_tokens_total", "vllm:prompt_tokens_cached_total", "vllm:generation_tokens_total")
"""Counter names of vLLM: all of the prompt, cached, generated."""

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


def samples(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of every sample of the given names."""
    for line in text.split("\n"):
        if not line.startswith(names):
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None or match["name"] not in names:
            continue
        labels = {name: _unescaped(value) for name, value in _LABEL.findall(match["labels"] or "")}
        try:
            yield match["name"], labels, float(match["value"])
        except ValueError:
            continue


def counters(text: str, model: str) -> Counters | None:
    """The totals in `text`, or None if it holds none for `model`.

    vLLM's are those of the label `model_name`, summed over its engines; where no such label is `model` (a server may
    serve one model under several names, and labels it with the first) and the server has a single one, that is meant.
    llama.cpp serves one model and labels nothing. A counter that an older server does not publish (the cached tokens)
    makes the whole answer None, because the others mean something else without it.
    """
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in samples(text, LLAMA_CPP + VLLM):
        by_model = found.setdefault(name, {})
        label = labels.get("model_name", "")
        by_model[label] = by_model.get(label, 0.0) + value
    for names in (LLAMA_CPP, VLLM):
        values = [_of_model(found.get(name, {}), model) for name in names]
        prompt, cached, generated = values
        if prompt is None or cached is None or generated is None:
            continue
        computed = prompt if names is LLAMA_CPP else prompt - cached
        return Counters(round(computed), round(cached), round(generated))
    return None


def _of_model(by_model: dict[str, float], model: str) -> float | None:
    if model in by_model:
        return by_model[model]
    return next(iter(by_model.values())) if len(by_model) == 1 else None


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], value)
