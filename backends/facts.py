"""Finding out what a server is and can, by asking it.

Three questions go out at once: `/v1/models` (every server), `/props` (llama.cpp) and `/version` (vLLM). A question that
is refused or answered with something else only means that the server is not of that kind. A vLLM is then asked what it
can (`vllm_facts`).
"""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import TYPE_CHECKING, TypeVar

import msgspec

from .backend import ServerFacts
from .vllm_facts import with_powers

if TYPE_CHECKING:
    from .connection import Connection

_T = TypeVar("_T")


class _Meta(msgspec.Struct):
    n_ctx: int | None = None
    n_params: int | None = None
    n_vocab: int | None = None


class _Model(msgspec.Struct):
    id: str = ""
    aliases: list[str] | None = None
    owned_by: str | None = None
    root: str | None = None
    max_model_len: int | None = None
    meta: _Meta | None = None


class _Models(msgspec.Struct):
    data: list[_Model] | None = None


class _Generation(msgspec.Struct):
    n_ctx: int | None = None


class _Props(msgspec.Struct):
    default_generation_settings: _Generation
    build_info: str | None = None
    endpoint_metrics: bool | None = None


class _Version(msgspec.Struct):
    version: str


_models = msgspec.json.Decoder(_Models)
_props = msgspec.json.Decoder(_Props)
_version = msgspec.json.Decoder(_Version)


async def ask(connection: Connection, model: str) -> ServerFacts:
    """Find out about the server that serves `model`.

    Raises `BackendError` if nothing answers there, or if the server is not ready to say which models it has.
    """
    models, props, version = await asyncio.gather(
        connection.probe(f"{connection.url}/models", decisive=True),
        connection.probe(f"{connection.root}/props"),
        connection.probe(f"{connection.root}/version"),
        return_exceptions=True,  # so that none is left behind in the air
    )
    for answer in (models, props, version):
        if isinstance(answer, BaseException):
            raise answer
    facts = read_facts(model, *(answer if isinstance(answer, bytes) else None for answer in (models, props, version)))
    if facts.server == "vllm" and facts.version is not None:
        return await with_powers(facts, connection, model)
    return facts


def read_facts(model: str, models: bytes | None, props: bytes | None, version: bytes | None) -> ServerFacts:
    """The facts about the server that serves `model`, from its three answers; None where it gave none.

    A server is known by who it says owns its models (`vllm`, `llamacpp`) or by llama.cpp's `/props`. Behind a proxy
    that passes `/v1` alone it is still known, but neither counts prompts for us nor publishes counters.
    """
    listed = _read(_models, models)
    entries = (listed.data if listed is not None else None) or []
    own = _read(_props, props)
    names = tuple(dict.fromkeys(name for entry in entries for name in (entry.id, *(entry.aliases or ())) if name))
    entry = next((entry for entry in entries if model == entry.id or model in (entry.aliases or ())), None)
    if entry is None and len(entries) == 1:
        entry = entries[0]
    owners = {entry.owned_by for entry in entries}
    if own is not None or "llamacpp" in owners:
        context = own.default_generation_settings.n_ctx if own is not None else None
        meta = entry.meta if entry is not None and entry.meta is not None else _Meta()
        if context is None:
            context = meta.n_ctx
        return ServerFacts(
            server="llama.cpp",
            version=own.build_info if own is not None else None,
            models=names,
            context=context,
            tokenizes=own is not None,
            metrics=own is not None and own.endpoint_metrics is not False,
            reports_cached=True,
            parameters=meta.n_params,
            vocabulary_size=meta.n_vocab,
        )
    if "vllm" in owners:
        answered = _read(_version, version)
        return ServerFacts(
            server="vllm",
            version=answered.version if answered is not None else None,
            models=names,
            context=entry.max_model_len if entry is not None else None,
            tokenizes=answered is not None,
            metrics=answered is not None,
            reports_cached=None,  # only with --enable-prompt-tokens-details, which the server does not tell
            root=entry.root if entry is not None else None,
        )
    return ServerFacts(server="other", models=names, context=entry.max_model_len if entry is not None else None)


def serves(facts: ServerFacts, model: str) -> bool:
    """Whether the server has `model`, as far as its list can tell.

    Only llama.cpp's list is held against a name: it answers any name with the one model it has, so that nobody else
    would notice. Its model may also be called by the name of its file, with or without `.gguf`. Other servers refuse by
    themselves, and some accept names that they do not list.
    """
    if facts.server != "llama.cpp" or not facts.models:
        return True
    return model in facts.models or any(model in (PurePath(name).name, PurePath(name).stem) for name in facts.models)


def _read(decoder: msgspec.json.Decoder[_T], data: bytes | None) -> _T | None:
    if data is None:
        return None
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
