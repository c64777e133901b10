"""A server that gives every chat request the same answer, as vLLM writes it, with next to no work.

    python benchmarks/http_server.py        prints its port, serves until its standard input ends

It looks for the end of the headers and the length of the body and nothing else, so that it is several times faster than
the clients under test.
"""

from __future__ import annotations

import asyncio
import json
import sys

MODEL = "constant"
TEXT = "The answer is forty-two, and nothing else needs to be said about it."
PROMPT, CACHED, COMPLETION = 120, 96, 16
"""Tokens that every answer reports."""

_ANSWER = {
    "id": "chatcmpl-0123456789abcdef0123456789abcdef",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT, "reasoning_content": None, "tool_calls": []},
            "logprobs": None,
            "finish_reason": "stop",
            "stop_reason": None,
        }
    ],
    "usage": {
        "prompt_tokens": PROMPT,
        "total_tokens": PROMPT + COMPLETION,
        "completion_tokens": COMPLETION,
        "prompt_tokens_details": {"cached_tokens": CACHED},
    },
    "prompt_logprobs": None,
}
_MODELS = {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "vllm", "max_model_len": 4096}]}


def _response(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    ).encode() + content


CHAT = _response("200 OK", _ANSWER)
MODELS = _response("200 OK", _MODELS)
NOWHERE = _response("404 Not Found", {"error": {"message": "there is no such address", "code": 404}})


class Constant(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.arrived = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.arrived:
            data = self.arrived + data
        head = data.find(b"\r\n\r\n")
        if head >= 0 and len(data) >= head + 4 + _length(data, head):
            self.arrived = b""
            self.transport.write(CHAT if data[:4] == b"POST" else MODELS if b"/models " in data[:64] else NOWHERE)
        else:
            self.arrived = data


def _length(data: bytes, head: int) -> int:
    lowered = data[:head].lower()
    start = lowered.find(b"content-length:")
    return 0 if start < 0 else int(lowered[start + 15 :].split(b"\r\n", 1)[0])


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Constant, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
