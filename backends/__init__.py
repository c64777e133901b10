"""Backends: they talk to models. A `Request` goes in, a `Completion` with its `Usage` comes out.

`Backend` is the one seam. Behind it stand any OpenAI-compatible server (`OpenAIBackend`), llama.cpp on this machine
(`LocalBackend`), vLLM on this machine (`VLLMBackend`) or in this process (`VLLMEngineBackend`), answers recorded
earlier (`ReplayBackend`) and answers made up for tests (`ScriptedBackend`); `open_backend` makes the one that a flow
file names. `VLLMServer` starts and ends a vLLM server. Every name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

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
    from .vllm_backend import VLLMBackend
    from .vllm_engine import VLLMEngineBackend
    from .vllm_server import VLLMServer

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
    "VLLMBackend",
    "VLLMEngineBackend",
    "VLLMServer",
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
    "vllm_backend": ("VLLMBackend",),
    "vllm_engine": ("VLLMEngineBackend",),
    "vllm_server": ("VLLMServer",),
}

__getattr__, __dir__ = lazily(__name__, _HOMES)
