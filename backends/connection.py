"""One server over HTTP: requests go out with its key, and whatever fails comes back as one of our errors."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from ..errors import BackendError, BackendTimeout, BadRequest, ServerFailure
from . import failures
from .transport import connection_errors, fast_client

if TYPE_CHECKING:
    import httpx

PROBE_LIMIT = 10.0
"""Seconds within which a server has to say what it is."""


class Connection:
    """The address of a server's API and the client that speaks to it, within one event loop."""

    def __init__(self, url: str, key: str | None, transport: httpx.AsyncBaseTransport | None) -> None:
        """`url` usually ends in `/v1`. The key goes to this server and is shown nowhere."""
        import httpx

        self.url = url.strip().rstrip("/")
        self.root = self.url.removesuffix("/v1")
        """Where the addresses outside of the OpenAI protocol are."""
        try:
            address = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise BadRequest(f"{url!r} is no url ({error}); write it as http://host:port/v1") from error
        if address.scheme not in ("http", "https") or not address.host:
            raise BadRequest(f"{url!r} is no http address; write it as http://host:port/v1")
        self.chat = httpx.URL(f"{self.url}/chat/completions")
        self.completions = httpx.URL(f"{self.url}/completions")
        self._headers = {"content-type": "application/json", "accept": "*/*", "accept-encoding": "identity"}
        if key:
            self._headers["authorization"] = f"Bearer {key.strip()}"
        self._client = fast_client(secure=address.scheme == "https", transport=transport)
        self._extensions = {"timeout": self._client.timeout.as_dict()}
        self.models: tuple[str, ...] = ()
        """The names of the server's models, once they are known; errors list them."""
        self.streams_end_it = False
        """Whether the server closes a connection after a stream, as llama.cpp does without saying so."""

    async def send(
        self, method: str, url: httpx.URL | str, body: bytes | None = None, *, stream: bool = False
    ) -> httpx.Response:
        """Send, and read the answer to its end unless it streams. The status may be any."""
        import httpx

        started = time.monotonic()
        headers = self._headers | {"connection": "close"} if stream and self.streams_end_it else self._headers
        request = httpx.Request(method, url, headers=headers, content=body, extensions=self._extensions)
        try:
            return await self._client.send(request, stream=stream)
        except connection_errors() as error:
            raise self.broken(error, time.monotonic() - started) from error

    async def post(self, path: str, body: bytes) -> bytes:
        """The answer of `path` below the root to a JSON body."""
        response = await self.send("POST", self.root + path, body)
        if response.status_code != 200:
            raise self.refused(response, "")
        return response.content

    async def probe(self, url: str, *, decisive: bool = False) -> bytes | None:
        """The answer to a question about the server; None if it has none.

        A decisive question raises if the server is not in a state to answer: it fails, is too busy, or takes too long.
        """
        try:
            async with asyncio.timeout(PROBE_LIMIT):
                response = await self.send("GET", url)
        except (BackendError, TimeoutError) as error:
            if not decisive:
                return None
            if isinstance(error, BackendError):
                raise
            raise BackendTimeout(f"{url} gave no answer within {PROBE_LIMIT:g} s.") from error
        if decisive and (response.status_code >= 500 or response.status_code == 429):
            raise self.refused(response, "")
        return response.content if response.status_code == 200 else None

    def broken(self, error: Exception, seconds: float) -> BackendError:
        """The error for a connection that failed after `seconds`, before an answer was there."""
        return failures.broken(error, self.url, seconds)

    def refused(self, response: httpx.Response, model: str) -> BackendError:
        """The error for a response (read to its end) with a status other than 200."""
        refusal = failures.read_refusal(response.content)
        return failures.refused(
            response.status_code, response.headers, refusal, url=self.url, model=model, models=self.models
        )

    def failed(self, error: Any, model: str, *, began: bool = False) -> BackendError:
        """The error for an `error` object inside an answer whose status was 200, after or before tokens came."""
        refusal = failures.refusal_of(error)
        if began:
            return ServerFailure(f"{self.url} failed in the middle of the answer: {refusal.message}")
        status = int(refusal.code) if refusal.code.isdecimal() and 400 <= int(refusal.code) < 600 else 500
        return failures.refused(status, {}, refusal, url=self.url, model=model, models=self.models)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
