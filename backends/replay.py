"""Answers that were recorded earlier, given again: tests and papers without a model, to the token."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from ..errors import InputError, ReplayMiss
from .backend import Count, ServerFacts
from .request import Completion, Delta, OnDelta, Request


class Recording(Protocol):
    """Completions by the key of their request."""

    def get(self, key: str) -> Completion | None:
        """The completion recorded under a key, or None."""
        ...


class Recorded(msgspec.Struct, frozen=True):
    """A line of a recording file."""

    key: str
    request: Request
    completion: Completion


def content_key(request: Request) -> str:
    """A key made of everything a request says, `sample` included, and of nothing else."""
    return hashlib.blake2b(msgspec.json.encode(request, order="deterministic"), digest_size=16).hexdigest()


class ReplayFile:
    """A recording read from a JSONL file of `{key, request, completion}` lines, as `Store.export` writes it.

    It is looked up with `content_key`, so the key of a line does not matter. Of equal requests the first line counts:
    give repeated draws different values of `sample`.
    """

    def __init__(self, path: str | Path) -> None:
        """Read the whole file; raises `InputError` naming the line that is wrong."""
        self.path = Path(path).expanduser()
        self._completions: dict[str, Completion] = {}
        decoder = msgspec.json.Decoder(Recorded)
        number = 0
        try:
            with self.path.open("rb") as lines:
                for line in lines:
                    number += 1
                    if line.strip():
                        recorded = decoder.decode(line)
                        self._completions.setdefault(content_key(recorded.request), recorded.completion)
        except OSError as error:
            raise InputError(f"The recording {self.path} cannot be read: {error.strerror}.") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"not a recorded call ({error}); a line is {{key, request, completion}}.", where=f"{self.path}:{number}"
            ) from error

    def __len__(self) -> int:
        return len(self._completions)

    def get(self, key: str) -> Completion | None:
        """The completion of the request with this `content_key`, or None."""
        return self._completions.get(key)


class ReplayBackend:
    """Gives recorded completions, with the usage and the seconds that were recorded. Nothing is computed."""

    name = "replay"

    def __init__(self, lookup: Recording, model: str, *, key: Callable[[Request], str] = content_key) -> None:
        """`key` is the function that gave the recording its keys."""
        self.model = model
        self._lookup = lookup
        self._key = key

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        """The recorded completion, in one piece if it is streamed; raises `ReplayMiss`."""
        completion = self._find(request)
        await asyncio.sleep(0)
        if on_delta is not None and completion.text:
            on_delta(Delta(completion.text))
        return completion

    async def count(self, request: Request) -> Count:
        """Prompt tokens as they were recorded, or an upper bound if the server had not said; raises `ReplayMiss`."""
        usage = self._find(request).usage
        if usage.prompt is None:
            from .tokenizers import upper_bound

            return upper_bound(request)
        return Count(usage.prompt, "estimated" if usage.source == "estimated" else "counted")

    async def facts(self) -> ServerFacts:
        """Only that it is a replay."""
        return ServerFacts(server="replay", models=(self.model,))

    async def counters(self) -> None:
        """None: nothing is computed, so there is nothing to count."""
        return

    async def aclose(self) -> None:
        """Nothing to release: the recording belongs to whoever opened it."""

    def _find(self, request: Request) -> Completion:
        completion = self._lookup.get(self._key(request))
        if completion is None:
            if request.messages:
                last = request.messages[-1].content
            else:
                last = request.prompt if request.prompt is not None else f"{len(request.prompt_token_ids or ())} tokens"
            raise ReplayMiss(
                f"No answer of {self.model!r} was recorded for this call, whose last message begins {last[:80]!r}. "
                "A call is found again only if its prompt, model and sampling are exactly those that were recorded; "
                "run the flow once against the model to record it."
            )
        return completion
