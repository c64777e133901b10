"""Passes: what a model computes in one go, for all answers that wait for it.

Answers of different lengths lie side by side in one row of tokens, so that nothing is computed for padding; a mask
keeps each to what it has read itself.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec

from .caches import Layers, Reading, Rows

if TYPE_CHECKING:
    from .weights import Weights

MOST = 512
"""Tokens that are read in one pass."""


BY_LENGTH = frozenset({"dynamic", "longrope"})
"""Kinds of positions that depend on the longest of all that are read together."""


class Wanted(msgspec.Struct, frozen=True):
    """Tokens that an answer waits to have read."""

    reading: Reading
    """Where they are read on; nobody else's."""
    ids: Sequence[int]
    every: bool = False
    """Whether it takes what is behind each of them, or behind the last alone."""
    hidden: bool = False
    """Whether it takes the last layer's hidden states, too."""


class Seen(msgspec.Struct, frozen=True):
    """What a model made of tokens."""

    logits: Any
    """[tokens, vocabulary], in float32."""
    hidden: Any
    """[tokens, width], None unless wanted."""


Answer = Generator[Wanted, Seen, None]
"""Whoever needs passes until it is done."""


class _Waiting(msgspec.Struct):
    weights: Weights
    answer: Answer
    done: Future[None]
    wanted: Wanted | None = None
    """None until it has begun."""


class Passes:
    """The thread in which a model computes, one pass at a time, which uses all cores."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="laconic-transformers")
        self._waiting: deque[_Waiting] = deque()

    def submit(self, weights: Weights, answer: Answer) -> Future[None]:
        """Give an answer its passes, in the thread. It begins when it is given the first, and can be cancelled before.

        `weights`: one of the models that compute here; those of one model share passes.
        """
        waiting = _Waiting(weights, answer, Future())
        self._waiting.append(waiting)
        self._thread.submit(self._work)
        return waiting.done

    def _work(self) -> None:
        """Passes until nobody waits: each for whoever waited longest, and for all others that can share it."""
        import torch

        with torch.inference_mode():
            while sharing := self._sharing():
                results = _results([wanted for _, wanted in sharing], sharing[0][0].weights)
                for (waiting, _), result in zip(sharing, results, strict=True):
                    waiting.wanted = _next(waiting, result)
                    if waiting.wanted is not None:
                        self._waiting.append(waiting)

    def _sharing(self) -> list[tuple[_Waiting, Wanted]]:
        """Those that get the next pass; they wait no longer."""
        sharing: list[tuple[_Waiting, Wanted]] = []
        left = MOST
        for _ in range(len(self._waiting)):
            waiting = self._waiting.popleft()
            if sharing and not (waiting.weights is sharing[0][0].weights and waiting.weights.packs):
                self._waiting.append(waiting)
                continue
            waiting.wanted = waiting.wanted or _begin(waiting)
            if waiting.wanted is None:
                continue
            if sharing and len(waiting.wanted.ids) > left:
                self._waiting.append(waiting)
                continue
            sharing.append((waiting, waiting.wanted))
            left -= len(waiting.wanted.ids)
        return sharing


def _results(wanted: Sequence[Wanted], weights: Weights) -> Sequence[Seen | Exception]:
    """What a pass gives each; if it fails, as for want of memory, each is read alone, so that no other is to blame."""
    try:
        return read(weights, wanted)
    except Exception as error:
        if len(wanted) == 1:
            return [error]
    for one in wanted:
        one.reading.cut(len(one.reading.ids))  # what a pass that failed may have left
    return [result for one in wanted for result in _results([one], weights)]


def _begin(waiting: _Waiting) -> Wanted | None:
    """What an answer wants first; None if it was cancelled, or needs nothing."""
    return _next(waiting, None) if waiting.done.set_running_or_notify_cancel() else None


def _next(waiting: _Waiting, result: Seen | Exception | None) -> Wanted | None:
    """Have an answer take in what it waited for; what it wants next, None if it is done."""
    try:
        if isinstance(result, Exception):
            return waiting.answer.throw(result)
        return next(waiting.answer) if result is None else waiting.answer.send(result)
    except StopIteration:
        waiting.done.set_result(None)
    except BaseException as error:
        waiting.done.set_exception(error)
    return None


def packs(model: Any) -> bool:
    """Whether answers can share passes: the model takes positions, its layers are alike and see all that was read."""
    if not isinstance(getattr(model.config, "num_key_value_heads", 1), int):
        return False
    if (getattr(model.config, "rope_parameters", None) or {}).get("rope_type") in BY_LENGTH:
        return False
    kinds = getattr(model.config, "layer_types", None) or ()
    window = getattr(model.config, "sliding_window", None) if not kinds else None
    takes = inspect.signature(model.base_model.forward).parameters
    return window is None and "position_ids" in takes and all(kind == "full_attention" for kind in kinds)


def read(weights: Weights, wanted: Sequence[Wanted]) -> list[Seen]:
    """One pass over all that is wanted; the readings hold it afterwards."""
    import torch

    ids = [token for one in wanted for token in one.ids]
    ends = list(accumulate(len(one.ids) for one in wanted))
    kept = [
        place
        for one, end in zip(wanted, ends, strict=True)
        for place in range(end - len(one.ids) if one.every else end - 1, end)
    ]
    rows = [one.reading.kept for one in wanted if isinstance(one.reading.kept, Rows)]
    told = _told_of_all(weights, wanted, rows) if rows else _told_of_one(wanted[0])
    out = weights.model(
        input_ids=torch.tensor([ids], device=weights.device),
        use_cache=True,
        logits_to_keep=torch.tensor(kept, device=weights.device),
        output_hidden_states=any(one.hidden for one in wanted),
        **told,
    )
    hidden = out.hidden_states[-1][0, kept] if out.hidden_states else None
    seen = list(_each(wanted, out.logits[0].float(), hidden))
    if rows:
        told["past_key_values"].share_out()
    for one in wanted:  # last of all: what failed is read again from here on
        one.reading.ids += one.ids
    return seen


def _each(wanted: Sequence[Wanted], logits: Any, hidden: Any) -> Iterator[Seen]:
    start = 0
    for one in wanted:
        end = start + (len(one.ids) if one.every else 1)
        yield Seen(logits[start:end], hidden[start:end] if one.hidden else None)
        start = end


def _told_of_one(wanted: Wanted) -> dict[str, Any]:
    """What a model is told besides the tokens of one."""
    assert isinstance(wanted.reading.kept, Layers)
    return {"past_key_values": wanted.reading.kept.cache}


def _told_of_all(weights: Weights, wanted: Sequence[Wanted], kept: Sequence[Rows]) -> dict[str, Any]:
    """What a model is told besides the tokens of several: their places, what each has read, and whose is what."""
    import torch

    from .side_by_side import SideBySide

    def row(values: Iterator[int]) -> Any:
        return torch.tensor(list(values), device=weights.device)

    read_before = [len(one.reading.ids) for one in wanted]
    places = row(
        before + place for one, before in zip(wanted, read_before, strict=True) for place in range(len(one.ids))
    )
    owners = row(number for number, one in enumerate(wanted) for _ in one.ids)
    past_places = row(place for before in read_before for place in range(before))
    past_owners = row(number for number, before in enumerate(read_before) for _ in range(before))
    all_places, all_owners = torch.cat([past_places, places]), torch.cat([past_owners, owners])
    visible = (all_owners[None, :] == owners[:, None]) & (all_places[None, :] <= places[:, None])
    dtype = weights.model.dtype
    hidden = torch.finfo(dtype).min
    mask = torch.zeros(visible.shape, dtype=dtype, device=weights.device).masked_fill(~visible, hidden)
    return {
        "position_ids": places[None],
        "attention_mask": mask[None, None],
        "past_key_values": SideBySide(kept, [len(one.ids) for one in wanted], weights.layers),
    }
