"""ModelSpec: how a flow says which model plays a role, and how it is to be asked."""

from __future__ import annotations

import os
from typing import Any, Literal
from urllib.parse import urldefrag

from pydantic import BaseModel, ConfigDict, Field

from ..accounting.prices import Price
from ..backends.memory_shares import Wanted
from ..errors import FlowError, InputError
from .registry import nearest

BackendKind = Literal["local", "openai", "vllm", "vllm-engine", "transformers", "scripted", "replay"]
BACKENDS: tuple[BackendKind, ...] = ("local", "openai", "vllm", "vllm-engine", "transformers", "scripted", "replay")

_OPENED: dict[str, BackendKind] = {"local": "local", "vllm": "vllm", "vllm-engine": "vllm-engine"}
"""Kinds whose model a word such as `local:NAME` opens here."""


class ModelSpec(BaseModel):
    """One entry of a flow's `models` section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: BackendKind = Field(
        description="What answers: llama.cpp or vLLM on this machine, a server, a script or a recording."
    )
    model: str = Field(
        description="A name of the catalogue or a path of a GGUF file; the name that the server knows; or, for a vLLM "
        "that Laconic starts, a hub name or a folder with safetensors."
    )
    url: str | None = Field(
        default=None,
        description="Address of a running server, such as http://127.0.0.1:8000/v1; without one, "
        "`vllm` starts its own.",
    )
    key_env: str | None = Field(
        default=None, description="Name of the environment variable that holds the server's key."
    )
    context: int | None = Field(default=None, ge=1, description="Longest prompt and answer together, in tokens.")
    concurrency: int | None = Field(default=None, ge=1, description="Most calls under way at once.")
    temperature: float = Field(default=0.0, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    max_tokens: int | None = Field(
        default=None, ge=1, description="Most tokens to generate, where a node does not say."
    )
    timeout: float | None = Field(default=None, gt=0, description="Seconds a call may take.")
    retries: int = Field(default=2, ge=0, description="How often a call is sent again after a failure that may pass.")
    stream: bool = Field(default=False, description="Stream every answer, so that an aborted one is counted exactly.")
    price: Price | None = Field(default=None, description="Dollars per million tokens.")
    parameters: float | None = Field(
        default=None, gt=0, description="Billions of parameters, for activated-parameter figures."
    )
    estimate: bool = Field(default=False, description="Allow an upper bound where no exact token count can be had.")
    extra: dict[str, Any] = Field(default_factory=dict, description="Sent with every request as it is.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the backend itself.")

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """A spec in one word, as `--model role=SPEC` takes it.

        `local:NAME-or-path`, `http://host:port/v1#NAME` (any OpenAI-compatible server), `vllm:http://...#NAME`,
        `vllm:NAME-or-folder` (a server that is started), `vllm-engine:NAME-or-folder` (in this process), or just NAME
        for a model of the catalogue. Raises InputError.
        """
        head, colon, rest = text.partition(":")
        if text.startswith(("http://", "https://")):
            return cls._served("openai", text)
        if head in ("openai", "vllm") and rest.startswith(("http://", "https://")):
            return cls._served("vllm" if head == "vllm" else "openai", rest)
        if head in _OPENED and rest:
            return cls(backend=_OPENED[head], model=rest)
        if not colon and text:
            return cls(backend="local", model=text)
        hint = nearest(head, list(BACKENDS)) if head not in BACKENDS else ""
        raise InputError(
            f"{text!r} does not say a model; write local:NAME, http://host:port/v1#NAME, vllm:http://...#NAME, "
            f"vllm:FOLDER or vllm-engine:FOLDER{hint}"
        )

    @classmethod
    def _served(cls, backend: BackendKind, address: str) -> ModelSpec:
        url, name = urldefrag(address)
        if not name:
            raise InputError(f"{address!r} does not name the model; write {address}#NAME")
        return cls(backend=backend, model=name, url=url)

    @property
    def server(self) -> Wanted | None:
        """The vLLM server that has to be started for it; None if none has."""
        if self.backend != "vllm" or self.url is not None:
            return None
        return Wanted(self.model, self.context, self.parameters, self.options)

    def key(self) -> str | None:
        """The server's key, read from the environment. Raises FlowError if the variable is not set."""
        if self.key_env is None:
            return None
        if self.key_env not in os.environ:
            raise FlowError(
                f"the environment variable {self.key_env}, which should hold the key of {self.url}, is not set"
            )
        return os.environ[self.key_env]
