"""The HTTP client under the server backends: httpx's interface over aiohttp's connections.

Against a server that answers at once, httpx over aiohttp makes about four times the requests per second of httpx alone.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.request import getproxies

if TYPE_CHECKING:
    import aiohttp
    import httpx

MOST_CONNECTIONS = 512
"""Connections open at once; a request beyond them waits for one. Well above the calls anyone keeps in flight to one
server, and below the 1,024 files a process may usually open."""
KEEP_ALIVE = 4.0
"""Seconds an idle connection is kept. llama.cpp and vLLM close theirs after 5: ours go first, so that no request is
sent on a connection that the server is closing."""
CONNECT_TIMEOUT = 15.0
"""Seconds to wait for a connection. For an answer the caller's own limit holds, not one of the transport."""


def fast_transport(*, secure: bool) -> httpx.AsyncBaseTransport:
    """The transport over aiohttp, for one event loop. `secure`: whether it will meet https addresses at all."""
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport

    context = httpx.create_ssl_context() if secure else None

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=MOST_CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ssl=context if context is not None else True
        )
        # Proxies come from the environment, as everywhere; looking for them costs time, so only if there are any.
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=bool(getproxies())
        )

    return AiohttpTransport(verify=False, client=session)


def fast_client(*, secure: bool, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client without cookies, redirects or a limit on how long an answer takes, over `transport` or the fast one."""
    import httpx

    return httpx.AsyncClient(
        transport=transport if transport is not None else fast_transport(secure=secure),
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
        trust_env=False,
    )


@cache
def connection_errors() -> tuple[type[Exception], ...]:
    """What the client raises when a connection fails; httpx-aiohttp lets some of aiohttp's own errors through."""
    import aiohttp
    import httpx

    return (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, aiohttp.ClientError, OSError)
