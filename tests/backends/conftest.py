"""A loopback server that answers as it is told, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Received:
    """A request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class FaultServer:
    """Answers each path with its handler, and 404 without one. `requests` are those that came, in order."""

    handlers: dict[str, Handler] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closes its connection while it has an answer coming."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request has come to a path that never answers."""
    port: int = 0
    _at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def calls(self, path: str) -> list[Received]:
        return [request for request in self.requests if request.path == path]

    def reply(self, path: str, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Answer with a body (text, bytes or JSON)."""
        data = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())

        async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(head.encode() + b"\r\n" + data)

        self.handlers[path] = handler

    def stream(self, path: str, *pieces: bytes, end: str = "whole") -> None:
        """Stream pieces, then end: `whole`, `close` (no last chunk), `inside` (a chunk), `reset`, or `hang`."""

        async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.write(STREAM_HEAD)
            for piece in pieces:
                writer.write(chunk(piece))
                await writer.drain()
            if end == "whole":
                writer.write(b"0\r\n\r\n")
            elif end == "inside":
                writer.write(b"40\r\ndata: {")
                writer.close()
            elif end == "close":
                writer.close()
            elif end == "reset":
                writer.transport.abort()
            elif end == "hang":
                await self._until_left(writer)

        self.handlers[path] = handler

    def hang(self, path: str) -> None:
        """Never answer."""

        async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
            self.held.set()
            await self._until_left(writer)

        self.handlers[path] = handler

    def drop(self, path: str) -> None:
        """Close the connection instead of answering."""

        async def handler(_: Received, writer: asyncio.StreamWriter) -> None:
            writer.close()

        self.handlers[path] = handler

    async def _until_left(self, writer: asyncio.StreamWriter) -> None:
        reader: asyncio.StreamReader = writer.reader  # type: ignore[attr-defined]  # put there by `serve`
        with suppress(ConnectionError):
            await reader.read()
        self.left.set()
        writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.reader = reader  # type: ignore[attr-defined]  # for `_until_left`
        self.connections += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {line.split(":")[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if line}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                received = Received(method, path, headers, body)
                self.requests.append(received)
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    await self.handlers.get(path, _not_found)(received, writer)
                    await writer.drain()
                finally:
                    self._at_once -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _not_found(_: Received, writer: asyncio.StreamWriter) -> None:
    body = b'{"detail":"Not Found"}'
    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    fault = FaultServer()
    listening = await asyncio.start_server(fault.serve, "127.0.0.1", 0, backlog=512)
    fault.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield fault
