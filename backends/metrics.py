"""A server's own totals, read from its Prometheus text (`GET /metrics`).

llama.cpp counts computed and cached prompt tokens apart; vLLM counts all prompt tokens and, of them, the cached ones.
Both come out as `Counters`. vLLM also counts requests: `vllm:request_params_n` observes each that it finished, once,
with the number of answers it asked for, while `vllm:request_success` counts every such answer. Neither sees a request
that its client broke off, though its tokens are counted.

The text format is that of Prometheus 0.0.4: `name{label="value",...} number [timestamp]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from .backend import Counters

LLAMA_CPP = ("llamacpp:prompt_tokens_total", "llamacpp:prompt_tokens_cached_total", "llamacpp:tokens_predicted_total")
"""Counter names of llama.cpp: computed, cached, generated."""
VLLM = ("vllm:prompt_tokens_total", "vllm:prompt_tokens_cached_total", "vllm:generation_tokens_total")
"""Counter names of vLLM: all of the prompt, cached, generated."""
FINISHED, ASKED, ENDED = "vllm:request_params_n_count", "vllm:request_params_n_sum", "vllm:request_success_total"
"""vLLM's requests that were finished, the answers they asked for, and how each of these ended."""
AT_WORK = {
    LLAMA_CPP: ("llamacpp:requests_processing", "llamacpp:requests_deferred"),
    VLLM: ("vllm:num_requests_running", "vllm:num_requests_waiting"),
}
"""Names of what is no counter but the state at that moment: requests running, and waiting."""

_NAMES = (*LLAMA_CPP, *VLLM, FINISHED, ASKED, ENDED, *AT_WORK[LLAMA_CPP], *AT_WORK[VLLM])

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


def samples(text: str, names: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of every sample of the given names that has a finite value."""
    for line in text.split("\n"):
        if not line.startswith(names):
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None or match["name"] not in names:
            continue
        try:
            number = float(match["value"])
        except ValueError:
            continue
        if not math.isfinite(number):
            continue
        labels = {name: _unescaped(value) for name, value in _LABEL.findall(match["labels"] or "")}
        yield match["name"], labels, number


def counters(text: str, model: str) -> Counters | None:
    """The totals in `text`, or None if it holds none for `model`.

    vLLM's are those of the label `model_name`, summed over its engines; where no such label is `model` (a server may
    serve one model under several names, and labels it with the first) and the server has a single one, that is meant.
    llama.cpp serves one model and labels nothing. A counter that an older server does not publish (the cached tokens)
    makes the whole answer None, because the others mean something else without it.
    """
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in samples(text, _NAMES):
        if name == ENDED and labels.get("finished_reason") != "abort":
            continue
        by_model = found.setdefault(name, {})
        label = labels.get("model_name", "")
        by_model[label] = by_model.get(label, 0.0) + value

    for names in (LLAMA_CPP, VLLM):
        called = _label(found.get(names[0], {}), model)
        if called is None:
            continue
        prompt, cached, generated = (_total(found, name, called) for name in names)
        if prompt is None or cached is None or generated is None:
            continue
        running, waiting = (_total(found, name, called) for name in AT_WORK[names])
        return Counters(
            prompt if names is LLAMA_CPP else prompt - cached,
            cached,
            generated,
            requests=_total(found, FINISHED, called),
            aborted=_total(found, ENDED, called),
            samples=_total(found, ASKED, called),
            busy=None if running is None or waiting is None else running + waiting,
        )
    return None


def _total(found: dict[str, dict[str, float]], name: str, label: str) -> int | None:
    value = found.get(name, {}).get(label)
    return None if value is None else round(value)


def _label(by_model: dict[str, float], model: str) -> str | None:
    """What the model is called in the labels."""
    if model in by_model:
        return model
    return next(iter(by_model)) if len(by_model) == 1 else None


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], value)
