"""What went wrong in a call over HTTP, as one of our errors: from a status and a body, or from a broken connection."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from ..errors import (
    BackendError,
    BackendTimeout,
    BackendUnreachable,
    BadRequest,
    ContextTooLong,
    MalformedAnswer,
    RateLimited,
    ServerFailure,
    UnknownModel,
)
from .backend import ServerFacts

CONTEXT = re.compile(r"context (?:length|size|window)|maximum model length|max_model_len", re.IGNORECASE)
_NO_MODEL = re.compile(
    r"model\b.{0,300}?\b(?:not found|does not exist|doesn't exist|not exist|unknown|not loaded|not available)"
    r"|(?:unknown|no such|invalid) model\b",
    re.IGNORECASE | re.DOTALL,
)
NO_TEMPLATE = re.compile(r"provide a chat template|chat template is no longer allowed", re.IGNORECASE)
_SHOWN = 500
"""Characters of a server's message that are shown."""


class Refusal(msgspec.Struct):
    """What an error body says, whichever server wrote it."""

    message: str = ""
    kind: str = ""
    code: str = ""
    param: str = ""


def read_refusal(body: bytes) -> Refusal:
    """The error body of OpenAI, vLLM (old and new), llama.cpp, FastAPI and Ollama; else its text."""
    text = body[:_SHOWN].decode(errors="replace").strip()
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refusal(text)
    return refusal_of(found.get("error", found)) if isinstance(found, dict) else Refusal(text)


def refusal_of(found: Any) -> Refusal:
    """The same from an error object (the `error` of an answer)."""
    if not isinstance(found, dict):
        return Refusal(str(found)[:_SHOWN])
    message = found.get("message") or found.get("detail") or found
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return Refusal(text[:_SHOWN], *(str(found.get(key) or "") for key in ("type", "code", "param")))


def refused(
    status: int, headers: Mapping[str, str], refusal: Refusal, *, url: str, model: str, models: tuple[str, ...] = ()
) -> BackendError:
    """The error for an answer with a status other than 200. `models` are the names the server says it has."""
    said = f": {refusal.message}" if refusal.message else " and said no more"
    if status < 500 and refusal.code == "insufficient_quota":
        return BadRequest(f"{url} says that the account's quota is used up ({status}){said}")
    if status == 429 or (status == 503 and "retry-after" in headers):
        wait = retry_after(headers)
        asked = "it did not say how long to wait" if wait is None else f"it asks to wait {wait:g} s"
        return RateLimited(
            f"{url} is too busy ({status}){said}; {asked}. Lower the model's `concurrency` if this goes on.",
            retry_after=wait,
        )
    if "exceed_context_size" in refusal.kind or refusal.code == "context_length_exceeded":
        return _too_long(url, status, said)
    if status >= 500:
        return ServerFailure(f"{url} failed ({status}){said}. Its log says more.")
    if status in (401, 403):
        return BadRequest(f"{url} does not accept the key ({status}){said}. Check the model's `key_env`.")
    if 300 <= status < 400:
        return BadRequest(f"{url} points elsewhere ({status}), to {headers.get('location', 'nowhere')}: give that url.")
    if CONTEXT.search(refusal.message):
        return _too_long(url, status, said)
    if NO_TEMPLATE.search(refusal.message):
        return BadRequest(
            f"{url} has no chat template for {model!r}, so that it cannot be sent messages ({status}). "
            "Start that server with --chat-template FILE, or serve a chat model."
        )
    if status in (400, 404) and (
        refusal.code == "model_not_found" or refusal.param == "model" or _NO_MODEL.search(refusal.message)
    ):
        return unknown_model(url, model, models, said)
    if status in (404, 405):
        return BadRequest(f"{url} is no address of that server ({status}){said}. The url usually ends in /v1.")
    return BadRequest(f"{url} refused the request ({status}){said}")


def _too_long(url: str, status: int, said: str) -> ContextTooLong:
    return ContextTooLong(
        f"{url}: prompt and answer do not fit in the model's context ({status}){said}. "
        "Shorten the prompt, lower `max_tokens`, or start the server with a longer context."
    )


def unknown_field(where: str, field: str, facts: ServerFacts, *, chat: bool) -> BadRequest:
    """The error for a field that the server would accept and ignore; `where` is `at URL` or the like."""
    known = (facts.chat_fields if chat else facts.completion_fields) or frozenset()
    near = difflib.get_close_matches(field, sorted(known), n=2, cutoff=0.7)
    if field.startswith("guided_") and "structured_outputs" in known:
        near = ["structured_outputs", "response_format"]
    hint = f" Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
    version = f" {facts.version}" if facts.version else ""
    calls = "chat calls" if chat else "completions calls"
    return BadRequest(
        f"The {facts.server}{version} {where} has no field `{field}` in its {calls}, and would ignore it.{hint}"
    )


def unknown_model(url: str, model: str, models: tuple[str, ...], said: str = "") -> UnknownModel:
    """The error for a model name that the server does not have."""
    if models:
        shown = ", ".join(models[:20]) + (f" and {len(models) - 20} more" if len(models) > 20 else "")
        return UnknownModel(f"{url} has no model {model!r}. It has: {shown}")
    return UnknownModel(f"{url} has no model {model!r}, and does not list those it has{said}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` (seconds or an HTTP date) or `retry-after-ms` ask for; None if neither is there."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "").strip()
        if not value:
            return None
        if re.fullmatch(r"[0-9.]+", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def broken(error: Exception, url: str, seconds: float) -> BackendError:
    """The error for a connection that failed before a whole answer was there.

    httpx-aiohttp reports several causes under one name (a lost connection is a `ConnectTimeout` to it), so the cause
    beneath it is what counts. Only where no connection came about is it certain that nothing was computed.
    """
    import aiohttp
    import httpx

    beneath = error.__cause__
    cause = beneath if isinstance(error, httpx.HTTPError) and isinstance(beneath, Exception) else error
    why = f"{cause}".strip() or type(cause).__name__
    never_connected = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
    if isinstance(cause, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)) or (
        isinstance(error, never_connected) and not isinstance(cause, aiohttp.ClientError)
    ):
        return BackendUnreachable(f"nothing answers at {url} ({why}). Is the server running, and is the url right?")
    if isinstance(cause, (TimeoutError, httpx.TimeoutException)):
        return BackendTimeout(f"{url} gave no answer within {seconds:.3g} s ({why}).")
    if isinstance(cause, (httpx.DecodingError, httpx.RemoteProtocolError, aiohttp.ClientResponseError)):
        return MalformedAnswer(f"{url} does not answer in HTTP as it should ({why}).")
    return ServerFailure(f"{url} closed the connection before it had answered ({why}). Its log may say why.")
