"""Calibration: how long one model on one machine takes for a call that it answers alone, as a formula.

After the idealized runtime of Narayanan et al. ("Cheaply Evaluating Inference Efficiency Metrics for Autoregressive
Transformer APIs", as in HELM): `T(p, o) = F(p) + g o`, the seconds to read a prompt of p tokens and g for every
generated token. What a prefix cache held need not be read again: `F(p) - F(cached)`. So every recorded call gets the
seconds that it takes without anybody beside it, the same each time. Batching is not in the formula, nor that a token
takes longer the more stands before it, nor what a request costs whatever its length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec

from ..errors import InputError, LedgerError
from .call import Call

Points = tuple[tuple[int, float], ...]
"""(prompt tokens, seconds), the prompts ever longer."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a model, and what somebody needs to know to measure it again.

    Invariants: there is a point; prompts grow from point to point and are no shorter than a token; seconds do not fall.
    """

    model: str
    """The name of the model that answered, as calls have it in `served`."""
    prefill: Points
    """F: seconds to read prompts of so many tokens."""
    per_token: float
    """g: seconds for a generated token; 0 if the longer answer took no longer than the short one."""
    parameters: int | None = None
    """Of the model, where they are known."""
    backend: str = ""
    server: str = ""
    """Kind and version of the server, as it says itself."""
    root: str = ""
    """Where the server has the model from, if it tells."""
    sha256: str = ""
    """Of the weights; empty for a server elsewhere."""
    machine: str = ""
    """Processor and cores of the machine that asked, which a server elsewhere need not share."""
    device: str = ""
    """What the model runs on, in the words of whoever measured."""
    date: str = ""
    run: str = ""
    """The run in whose ledger the calls are."""
    repeats: int = 1
    """Calls for each point, of which the shortest counts."""

    def __post_init__(self) -> None:
        """Raises ValueError for what is no calibration."""
        lengths = [tokens for tokens, _ in self.prefill]
        seconds = [taken for _, taken in self.prefill]
        if not lengths or lengths[0] < 1 or any(one >= other for one, other in pairwise(lengths)):
            raise ValueError("`prefill` needs prompts of at least one token, each longer than the one before")
        if seconds[0] < 0 or any(one > other for one, other in pairwise(seconds)):
            raise ValueError("the seconds of `prefill` must not be negative, and not fall as prompts grow")
        if self.per_token < 0:
            raise ValueError("`per_token` must not be negative")

    def reading(self, prompt: int) -> float:
        """F: seconds to read `prompt` tokens, none for none.

        HELM takes the next longer prompt of its table. Here F is linear between the points and from nothing to the
        first one, so that it grows with every token and `F(p) - F(cached)` is never a step that is an artefact of the
        table. Past the last point it grows in proportion to the prompt, as in HELM.
        """
        longest, most = self.prefill[-1]
        if prompt >= longest:
            return most * prompt / longest
        after = bisect_left(self.prefill, prompt, key=lambda point: point[0])
        high, slow = self.prefill[after]
        low, fast = self.prefill[after - 1] if after else (0, 0.0)
        return fast + (slow - fast) * (prompt - low) / (high - low)

    def seconds(self, prompt: int, cached: int, completion: int) -> float:
        """T: seconds of a call whose prompt has `prompt` tokens, `cached` of them in the cache."""
        return self.reading(prompt) - self.reading(cached) + self.per_token * completion


def fit(calls: Iterable[Call]) -> tuple[Points, float]:
    """F and g from calls that were answered one at a time, of prompts that were not in a cache.

    Noise only ever adds time, hence the shortest call of each kind counts, and where a longer prompt was faster, the
    shorter one takes its seconds. g is the slope between a short and the longest answer to prompts of one length; F is
    a call with one generated token, less g. Raises LedgerError if the calls do not tell.
    """
    fastest: dict[tuple[int, int], float] = {}
    for call in calls:
        prompt, completion = call.usage.prompt, call.usage.completion
        if call.status == "ok" and prompt and completion and not call.usage.cache_read:
            kind = (prompt, completion)
            fastest[kind] = min(call.seconds, fastest.get(kind, call.seconds))
    per_token = _slope(fastest)
    points: list[tuple[int, float]] = []
    for (prompt, completion), seconds in sorted(fastest.items(), reverse=True):
        if completion == 1:
            reading = max(seconds - per_token, 0.0)
            points.append((prompt, min(reading, points[-1][1]) if points else reading))
    if not points:
        raise LedgerError(
            "no call read a whole prompt and generated one token, so that nothing tells how long reading takes: the "
            "server must say how many tokens it generated, and have none of these prompts in its cache"
        )
    return tuple(reversed(points)), per_token


def _slope(fastest: dict[tuple[int, int], float]) -> float:
    """Seconds for a generated token, from the prompt length that had the longest answer; at least 0."""
    longest, prompt = max(((completion, prompt) for prompt, completion in fastest), default=(0, 0))
    if longest < 2:
        raise LedgerError(
            "no answer has more than one token, so that nothing tells how long a token takes: the model ends its "
            "answers at once, or the server does not say how many tokens it generated"
        )
    lengths = sorted(completion for length, completion in fastest if length == prompt)
    short = next((tokens for tokens in lengths if 1 < tokens < longest), lengths[0])
    if short == longest:
        raise LedgerError(f"prompts of {prompt:,} tokens have only answers of {longest:,} tokens: there is no slope")
    return max((fastest[prompt, longest] - fastest[prompt, short]) / (longest - short), 0.0)


def load_calibration(path: Path) -> Calibration:
    """The calibration in a file that `laconic calibrate` wrote. Raises InputError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} is no file of `laconic calibrate`: {error}") from error


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write it as JSON. Raises InputError."""
    text: bytes = msgspec.json.format(msgspec.json.encode(calibration), indent=2)
    with _plainly(path):
        path.write_bytes(text + b"\n")


def check_writable(path: Path) -> None:
    """Raises InputError if no calibration can be saved there. What is there stays as it is."""
    with _plainly(path):
        if path.is_dir():
            raise InputError(f"{str(path)!r} is a folder; name a file")
        there = path.exists()
        path.open("ab").close()
        if not there:
            path.unlink()


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
