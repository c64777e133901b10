"""Runtimes: how long recorded calls take on a calibrated machine with nobody beside them, in all and at best.

The sum over all calls is what they cost in seconds of the model. The critical path is how long one waits for the last
of them: the longest chain of calls that wait for each other. A ledger does not keep which call waited for which, only
when each began and ended. So a chain is taken to be calls of which each began after the one before had ended: whatever
waited for a call began after it, so that the true path is never longer, but calls that merely happened one after the
other (items of a data file asked in turn, a queue) are in the chain too. Figures by item keep items apart.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..backends.usage import Usage
from ..errors import InputError
from .calibration import Calibration
from .call import Call


class IdealRuntime(msgspec.Struct, frozen=True, kw_only=True):
    """Idealized seconds of a set of calls, failed and discarded ones included."""

    calls: int = 0
    """Calls that were sent."""
    seconds: float = 0.0
    """The sum: seconds of the model."""
    critical_path: float = 0.0
    """The longest chain of calls that began one after the other had ended; at most the sum."""
    avoided: float = 0.0
    """Seconds that answers would have taken which were there already; not in the sum."""
    measured: float = 0.0
    """The seconds that the calls really took, waiting for the model included."""
    cache_unsaid: int = 0
    """Calls that were sent and whose server did not say what came from its cache: taken as nothing, so that the sums
    are upper bounds."""
    tokens_unsaid: int = 0
    """Calls that were sent and whose tokens are not known: taken as none, so that the sums are lower bounds."""
    avoided_cache_unsaid: int = 0
    """`cache_unsaid` of the answers that were there already, which bound `avoided` alone."""
    avoided_tokens_unsaid: int = 0
    """`tokens_unsaid` of the answers that were there already."""

    def show(self, seconds: float) -> str:
        """The sum or the critical path for people: `1.5`; `≤ 1.5` and `≥ 1.5` for bounds, `~ 1.5` if it is neither."""
        return _bounded(seconds, self.cache_unsaid, self.tokens_unsaid)

    def show_avoided(self) -> str:
        """The avoided seconds in the same way; empty if there are none."""
        if not self.avoided and not self.avoided_tokens_unsaid:
            return ""
        return _bounded(self.avoided, self.avoided_cache_unsaid, self.avoided_tokens_unsaid)


Calibrations = Mapping[str, Calibration]
"""By a call's role in the flow or, failing that, by the name of the model that answered."""


def ideal_runtime(calls: Iterable[Call], calibrations: Calibrations) -> IdealRuntime:
    """The idealized seconds of `calls`. Raises InputError for a model that has no calibration."""
    sent: list[Call] = []
    seconds: list[float] = []
    spared: list[Usage] = []
    avoided = 0.0
    for call in calls:
        calibration = _of(call, calibrations)
        if not call.sent:
            spared.append(call.usage if call.avoided is None else call.avoided)
            avoided += _seconds(spared[-1], calibration)
        else:
            sent.append(call)
            seconds.append(_seconds(call.usage, calibration))
    spent = [call.usage for call in sent]
    return IdealRuntime(
        calls=len(sent),
        seconds=sum(seconds),
        critical_path=longest_chain([(call.started, call.started + call.seconds) for call in sent], seconds),
        avoided=avoided,
        measured=sum(call.seconds for call in sent),
        cache_unsaid=sum(map(_cache_unsaid, spent)),
        tokens_unsaid=sum(map(_tokens_unsaid, spent)),
        avoided_cache_unsaid=sum(map(_cache_unsaid, spared)),
        avoided_tokens_unsaid=sum(map(_tokens_unsaid, spared)),
    )


def longest_chain(spans: Sequence[tuple[float, float]], weights: Sequence[float]) -> float:
    """The most that weights along a chain add up to, each of whose spans begins when the one before has ended.

    `spans`: beginning and end. Takes n log n.
    """
    under_way: list[tuple[float, float]] = []
    """(end, weight of the heaviest chain that ends with this span), the first to end on top."""
    ended = heaviest = 0.0
    for (begin, end), weight in sorted(zip(spans, weights, strict=True)):
        while under_way and under_way[0][0] <= begin:
            ended = max(ended, heapq.heappop(under_way)[1])
        heapq.heappush(under_way, (end, ended + weight))
        heaviest = max(heaviest, ended + weight)
    return heaviest


def _of(call: Call, calibrations: Calibrations) -> Calibration:
    found = calibrations.get(call.model) or calibrations.get(call.served)
    if found is None:
        raise InputError(
            f"there is no calibration of the model {call.served or call.model!r} (role {call.model!r}), but of "
            f"{', '.join(map(repr, calibrations)) or 'none'}; make one with `laconic calibrate`, or name the file of "
            f"another as {call.model}=FILE"
        )
    return found


def _cache_unsaid(usage: Usage) -> bool:
    return usage.cache_read is None and bool(usage.prompt)


def _tokens_unsaid(usage: Usage) -> bool:
    return usage.total is None


def _bounded(seconds: float, cache_unsaid: int, tokens_unsaid: int) -> str:
    sign = {(False, False): "", (True, False): "≤ ", (False, True): "≥ ", (True, True): "~ "}
    return f"{sign[bool(cache_unsaid), bool(tokens_unsaid)]}{seconds:,.3f}"


def _seconds(usage: Usage, calibration: Calibration) -> float:
    prompt = usage.prompt or 0
    return calibration.seconds(prompt, min(usage.cache_read or 0, prompt), usage.completion or 0)
