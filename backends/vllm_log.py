"""Why a vLLM server did not start or has ended: one sentence, read from its log.

The patterns are vLLM's own words, the most telling first. Where none fits, the last error of the log is told as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

SHOWN = 300
"""Characters of an error of vLLM that are shown."""
_PREFIX = re.compile(r"^\s*(?:\([^)]*pid=\d+\)\s*)?(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \S+ \S+ \[[^\]]*\]\s*)?")
"""What stands before a message: the process, the level, the time, the place."""
_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?(?:\w*(?:Error|Exception|Interrupt)|error): (?=\S)")
_FOLLOWS = re.compile(r"Engine core initialization failed|WorkerProc initialization failed|See root cause above")
"""Errors that only say that there was another."""
PORT_IN_USE = re.compile(r"[Aa]ddress already in use")


class _Cause(NamedTuple):
    pattern: re.Pattern[str]
    tell: str | Callable[[re.Match[str]], str]


def _cause(pattern: str, tell: str | Callable[[re.Match[str]], str]) -> _Cause:
    return _Cause(re.compile(pattern), tell)


def _too_little_cache(match: re.Match[str]) -> str:
    most = f" A context of {int(match['most']):,} would fit." if match["most"] else ""
    return (
        f"a request of the whole context ({int(match['context']):,} tokens) needs {match['needed']} GiB of KV cache, "
        f"and there are {match['there']} GiB. Lower `context`, or give it more memory.{most}"
    )


def _too_long(match: re.Match[str]) -> str:
    return (
        f"the context of {int(match['asked']):,} tokens is longer than the {float(match['most']):,.0f} the model has. "
        f"Lower `context`."
    )


def _taken(match: re.Match[str]) -> str:
    return (
        f"it was to use {match['wanted']} GiB of memory and only {match['free']} of {match['all']} GiB are free. End "
        "what else uses the memory, or lower the model's `gpu_memory_utilization` in its options."
    )


_GPU_MISSING = (
    "no GPU can be used here. Write `backend: local` to use llama.cpp, or take vLLM built for CPUs "
    "(LACONIC_VLLM_PYTHON names the interpreter that has it)."
)
_NO_MODEL = (
    "there is no such model: it is neither a folder with a config.json nor a model that can be had from the model hub."
)
_TOO_LARGE = "the model does not fit in memory. Take a smaller or quantised one, or give it more of the memory."

CAUSES = (
    _cause(
        r"(?:Free|Available) memory on (?:device|node) .*?\((?P<free>[\d.]+)/(?P<all>[\d.]+) GiB\) on startup is less "
        r"than desired \w+ memory utilization \([\d.]+, (?P<wanted>[\d.]+) GiB\)",
        _taken,
    ),
    _cause(
        r"on kv cache allocation is less than requested memory for kv \((?P<wanted>[\d.]+) GiB\)",
        lambda match: (
            f"there is no room for a KV cache of {match['wanted']} GiB. Set VLLM_CPU_KVCACHE_SPACE to less GiB "
            "(`env` in the model's options)."
        ),
    ),
    _cause(
        r"max seq len \((?P<context>\d+)\),? \(?(?P<needed>[\d.]+) GiB KV cache is needed.*?KV cache memory "
        r"\((?P<there>[\d.]+) GiB\)(?:.*?estimated maximum model length is (?P<most>\d+))?",
        _too_little_cache,
    ),
    _cause(
        r"No available memory for the cache blocks",
        "the model fills its share of the memory and leaves none for the KV cache. Give it more, or take a smaller "
        "model.",
    ),
    _cause(r"OutOfMemoryError|(?:CUDA|HIP|XPU) out of memory|can't allocate memory|(?m:^MemoryError)", _TOO_LARGE),
    _cause(
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len "
        r"\(\w+=(?P<most>[\d.]+)",
        _too_long,
    ),
    _cause(r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver", _GPU_MISSING),
    _cause(PORT_IN_USE.pattern, "its port is in use. Give another, or none."),
    _cause(
        r"GatedRepoError|Access to model \S+ is restricted|401 Client Error",
        "the model hub gives this model only to those it knows. Set HF_TOKEN to a token that may read it.",
    ),
    _cause(
        r"Invalid repository ID or local directory specified|RepositoryNotFoundError|LocalEntryNotFoundError"
        r"|is not a local folder",
        _NO_MODEL,
    ),
    _cause(
        r"Cannot find any model weights with",
        "the folder holds no weights (*.safetensors). Was it copied or exported whole?",
    ),
    _cause(
        r"error: unrecognized arguments: (?P<which>.+)",
        lambda match: (
            f"this version of vLLM does not know {match['which'].strip()[:SHOWN]}. Look at the model's `options`."
        ),
    ),
    _cause(
        r"error: argument (?P<which>\S+): (?P<why>.+)",
        lambda match: (
            f"vLLM does not take that value of {match['which']} ({match['why'].strip()[:SHOWN]}). Look at the "
            "model's `options`."
        ),
    ),
)


def diagnose(log: str, status: int | None = None) -> str:
    """One or two sentences on why the server of this log is not there; `status` is that of its process, if it ended.

    The beginning is written to follow a colon.
    """
    messages = [_PREFIX.sub("", line, count=1).rstrip() for line in log.splitlines()]
    text = "\n".join(messages)
    for cause in CAUSES:
        match = re.search(cause.pattern, text)
        if match is not None:
            return cause.tell if isinstance(cause.tell, str) else cause.tell(match)
    errors = [line for line in messages if _ERROR.match(line) and not _FOLLOWS.search(line)]
    if errors:
        said = errors[-1][:SHOWN].rstrip(".")
        return f"{said}."
    if status is not None and status < 0:
        return f"its process was killed (signal {-status}), perhaps for want of memory."
    return "its process ended and said no more." if status is None else f"its process ended with status {status}."
