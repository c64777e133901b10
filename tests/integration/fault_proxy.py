"""A loopback proxy in front of a real server that fails by a script: what a bad network and a bad gateway do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

Fault = Literal["none", "refuse", "rate", "drop", "fail", "lose", "cut", "stall"]
"""Before the server hears of the call: `refuse` (500), `rate` (429), `drop` (closes the connection).
After it has answered: `fail` (500), `lose` (closes the connection). In the middle of the answer's body: `cut` (closes
the connection), `stall` (sends no more until the client goes)."""
FAULTS: tuple[Fault, ...] = ("refuse", "rate", "drop", "fail", "lose", "cut", "stall")
UNHEARD = ("refuse", "rate", "drop")
"""The faults of which the server knows nothing."""
ERRORS = {"refuse": "500 Internal Server Error", "fail": "500 Internal Server Error", "rate": "429 Too Many Requests"}


class FaultProxy:
    """Listens on a free port of loopback; every completion that is asked meets the next fault of the script."""

    def __init__(self, url: str, *, seed: int, share: float) -> None:
        """`url`: the API behind it. `share`: how many of the calls meet a fault, from 0 to 1."""
        parts = urlsplit(url)
        self._behind = parts.hostname or "", parts.port or 80
        self._path = parts.path
        self._random = random.Random(seed)
        self._share = share
        self.met: Counter[Fault] = Counter()
        """How many calls met which fault."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"

    def _next(self, head: bytes) -> Fault:
        if b"/completions " not in head.split(b"\r\n", 1)[0]:
            return "none"
        fault = self._random.choice(FAULTS) if self._random.random() < self._share else "none"
        self.met[fault] += 1
        return fault

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, one connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            fault = self._next(head)
            if fault not in UNHEARD:
                await self._relay(head, body, fault, reader, writer)
            if fault in ERRORS:
                patience = "retry-after: 0\r\n" if fault == "rate" else ""
                writer.write(f"HTTP/1.1 {ERRORS[fault]}\r\n{patience}content-length: 2\r\n\r\n{{}}".encode())
                await writer.drain()
        writer.close()

    async def _relay(
        self, head: bytes, body: bytes, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        behind, ahead = await asyncio.open_connection(*self._behind)
        gone = asyncio.ensure_future(
            reader.read()
        )  # ends when the client closes: nothing more is asked on this connection
        try:
            ahead.write(_closing(head) + body)
            answer = asyncio.ensure_future(self._answer(behind, fault, writer, gone))
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
        finally:
            gone.cancel()
            ahead.close()

    async def _answer(
        self, behind: asyncio.StreamReader, fault: Fault, writer: asyncio.StreamWriter, gone: asyncio.Future[bytes]
    ) -> None:
        if fault in ("fail", "lose"):
            await behind.read()
            return
        head = await behind.readuntil(b"\r\n\r\n")
        writer.write(head)
        while piece := await behind.read(2048):
            if fault != "none":
                writer.write(piece[: len(piece) // 2])
                await writer.drain()
                if fault == "stall":
                    await gone
                return
            writer.write(piece)
            await writer.drain()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _closing(head: bytes) -> bytes:
    """The head of a request that asks the server to close the connection after its answer."""
    lines = [line for line in head.rstrip(b"\r\n").split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"connection: close", b"", b""])
