"""Slots in the order that a server's prefix cache likes best.

The method is BatchLLM's (arXiv 2412.03594, section 4), from the client's side of the wire: calls that wait are put into
groups by what their prompts have in common (`prefix_tree`); one member of a group goes first, and the others follow
when its first token shows that the common prefix has been computed (`prefix_plan`); and a call begins only if there is
room for it beside those under way, so that nothing drives a prefix out while its group needs it (`cache_belief`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ..backends.backend import Count
from ..backends.prefix_cache import hashes, salt_of
from ..backends.request import OnDelta, Request
from ..errors import LaconicError
from .cache_belief import CacheBelief
from .call import Owner
from .lengths import Lengths
from .prefix_plan import Plan, Planned
from .slots import Counting, Slots, Waiting, first_piece

HORIZON = 4096
"""Calls that may wait at once, to be chosen from; each is a task and the token ids of its prompt."""
PATIENCE = 30.0
"""Seconds that counting a prompt may take; after that it is sent without being known."""
GATHERING = 0.05
"""Seconds that a choice may wait for prompts that are just being counted."""


class Place(Waiting):
    """A call in the line of `PrefixSlots`."""

    __slots__ = ("planned",)

    def __init__(self, slots: PrefixSlots, request: Request, owner: Owner, count: Count | None) -> None:
        super().__init__(slots, request, owner, count)
        self.planned = slots.planned(self)

    def watched(self, on_delta: OnDelta | None) -> OnDelta | None:
        """A call that others wait for is streamed: its first piece tells that its prompt has been computed."""
        if not self.planned.leads:
            return on_delta
        assert isinstance(self._slots, PrefixSlots)
        slots = self._slots
        return first_piece(lambda: slots.first_token(self), on_delta)


class PrefixSlots(Slots):
    """Slots that go to a call whose prefix is in the cache, else to the first of the next group."""

    horizon = HORIZON

    def __init__(self, limit: int, *, block: int, blocks: int | None = None) -> None:
        """`block` and `blocks` describe the server's cache: tokens of a block, and how many blocks can be used."""
        super().__init__(limit)
        self._belief = CacheBelief(block, blocks)
        self._plan = Plan(self._belief)
        self._lengths = Lengths()
        self._places: dict[int, Place] = {}
        """Those that wait, by the identity of what the plan knows of them."""
        self._arriving = 0
        self._begun: set[tuple[str, str]] = set()
        """Runs and items that have had a call."""
        self._timer: asyncio.TimerHandle | None = None

    async def place(self, request: Request, owner: Owner, count: Count | None, counting: Counting) -> Waiting:
        """A place in the line; the prompt is counted for it, unless the call has no company."""
        self._arriving += 1
        try:
            await asyncio.sleep(0)  # whoever comes in the same moment is company
            if (count is None or count.ids is None) and self._arriving + self.taken + len(self._places) > 1:
                with suppress(LaconicError, TimeoutError):  # the call itself will meet what stands in the way
                    async with asyncio.timeout(PATIENCE):
                        count = await counting(request)
            return Place(self, request, owner, count)
        finally:
            self._arriving -= 1
            if not self._arriving:
                asyncio.get_running_loop().call_soon(self.fill)

    def planned(self, place: Place) -> Planned:
        """What the plan is to know of a call."""
        ids = (place.count.ids if place.count is not None else None) or ()
        salt = salt_of(place.request)
        return Planned(
            ids=ids,
            marks=tuple(hashes(ids[:-1], self._belief.block, salt)),
            salt=salt,
            expected=self._lengths.expect(place.owner.node, place.request.max_tokens),
            begun=(place.owner.run, place.owner.item) in self._begun,
        )

    @property
    def crowded(self) -> bool:
        """Whether calls wait for a slot."""
        return bool(self._places)

    def admits(self, call: Waiting) -> bool:
        """Only a call without company begins at once."""
        if self.taken or self._places or self._arriving:
            return False
        self._begin(_place(call))
        return True

    def line_up(self, call: Waiting) -> None:
        """A call begins to wait."""
        place = _place(call)
        self._places[id(place.planned)] = place
        self._plan.add(place.planned)
        self.fill()

    def step_out(self, call: Waiting) -> None:
        """A call that waits is given up."""
        place = _place(call)
        place.planned.gone = True
        self._places.pop(id(place.planned), None)

    def give_back(self, call: Waiting) -> None:
        """A call has ended."""
        place = _place(call)
        completion = place.completion
        generated: tuple[int, ...] = ()
        if completion is not None and completion.usage.completion is not None:
            self._lengths.learn(place.owner.node, completion.usage.completion)
            generated = completion.token_ids or (-1,) * completion.usage.completion
        self._belief.end(place.planned, generated)
        super().give_back(call)

    def first_token(self, place: Place) -> None:
        """The prompt of a call has been computed."""
        self._belief.computed(place.planned)
        self.fill()

    def fill(self) -> None:
        """Let those begin whose turn has come, once the prompts that are just being counted are known as well."""
        if self._arriving and len(self._places) < 2 * (self.limit - self.taken):
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(GATHERING, self._choose)
            return
        self._choose()

    def _choose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self.taken < self.limit and self._places:
            planned = self._plan.next()
            if planned is None:
                return
            place = self._places.pop(id(planned))
            if place.call_up():
                self.taken += 1
                self._begin(place)

    def _begin(self, place: Place) -> None:
        self._begun.add((place.owner.run, place.owner.item))
        self._belief.begin(place.planned)


def _place(call: Waiting) -> Place:
    assert isinstance(call, Place), "PrefixSlots gives out places of its own"
    return call
