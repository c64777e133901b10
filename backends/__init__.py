"""Backends: they talk to models. A `Request` goes in, a `Completion` with its `Usage` comes out.

`Backend` is the one seam. Behind it stand any OpenAI-compatible server (`OpenAIBackend`), llama.cpp on this machine
(`LocalBackend`), answers recorded earlier (`ReplayBackend`) and answers made up for tests (`ScriptedBackend`);
`open_backend` makes the one that a flow file names. Every name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import Backend, Count, Counters, ServerFacts
    from .local import LocalBackend
    from .openai import OpenAIBackend
    from .opening import open_backend
    from .replay import ReplayBackend
    from .request import Completion, Delta, FinishReason, Message, OnDelta, Request, Role, TokenLogprob
    from .scripted import CutStream, Latency, NoopBackend, ScriptedBackend
    from .tokenizers import FileTokenizer, TiktokenTokenizer, Tokenizer, load_tokenizer, upper_bound
    from .usage import NOTHING, UNKNOWN, Source, Usage

__all__ = [
    "NOTHING",
    "UNKNOWN",
    "Backend",
    "Completion",
    "Count",
    "Counters",
    "CutStream",
    "Delta",
    "FileTokenizer",
    "FinishReason",
    "Latency",
    "LocalBackend",
    "Message",
    "NoopBackend",
    "OnDelta",
    "OpenAIBackend",
    "ReplayBackend",
    "Request",
    "Role",
    "ScriptedBackend",
    "ServerFacts",
    "Source",
    "TiktokenTokenizer",
    "TokenLogprob",
    "Tokenizer",
    "Usage",
    "load_tokenizer",
    "open_backend",
    "upper_bound",
]

_HOMES = {
    "backend": ("Backend", "Count", "Counters", "ServerFacts"),
    "local": ("LocalBackend",),
    "openai": ("OpenAIBackend",),
    "opening": ("open_backend",),
    "replay": ("ReplayBackend",),
    "request": ("Completion", "Delta", "FinishReason", "Message", "OnDelta", "Request", "Role", "TokenLogprob"),
    "scripted": ("CutStream", "Latency", "NoopBackend", "ScriptedBackend"),
    "tokenizers": ("FileTokenizer", "TiktokenTokenizer", "Tokenizer", "load_tokenizer", "upper_bound"),
    "usage": ("NOTHING", "UNKNOWN", "Source", "Usage"),
}
"""Which module of this folder each public name lives in."""

_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in, and keep the name (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
