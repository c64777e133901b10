"""What the tests of a model in this process ask, and how they hold it up."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from laconic.backends.request import Request

IDS = tuple(range(40, 60))


def asks(model="small", ids=IDS, **fields):
    return Request(model=model, prompt_token_ids=ids, **{"max_tokens": 12, **fields})


def fails(*_, **__):
    raise RuntimeError("out of memory")


@contextmanager
def held(backend):
    """Nothing is computed in it, so that what is asked meanwhile begins together."""
    holding, begun = threading.Event(), threading.Event()
    backend._weights.passes._thread.submit(lambda: (begun.set(), holding.wait()))
    begun.wait()
    yield
    holding.set()
