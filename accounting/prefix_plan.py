"""The plan of the calls that wait: group by group, so that each common beginning is computed once."""

from __future__ import annotations

from collections import deque

from .cache_belief import CacheBelief, Sequenced
from .prefix_tree import Group, groups

NEWCOMERS = 8
"""The plan is made anew when the newcomers are more than one in so many of the planned: planning stays cheap."""


class Planned(Sequenced, kw_only=True):
    """A call that waits for its turn."""

    number: int = 0
    """When it came: the lower, the earlier."""
    begun: bool = False
    """Whether its item has had a call already and should come to its end."""
    gone: bool = False
    """Whether it was given up."""
    leads: bool = False
    """Whether others wait for it to compute the prefix they share."""

    @property
    def size(self) -> int:
        """Tokens of its prompt."""
        return len(self.ids)


class Plan:
    """Gives out the calls that wait.

    One member of a group goes first. The others go when the common prefix is in the cache, before any other group is
    begun; and if the next of them does not fit beside those under way, nothing else takes its room. A group is begun
    only where the groups that are open keep room for their prefix and another member each.
    """

    def __init__(self, belief: CacheBelief) -> None:
        self._belief = belief
        self._fresh: list[Planned] = []
        self._groups: deque[Group[Planned]] = deque()
        """Those of which no member was sent."""
        self._open: list[Group[Planned]] = []
        """Those whose prefix is in the cache or is being computed."""
        self._left = 0
        self._came = 0

    def add(self, call: Planned) -> None:
        """One more call waits."""
        self._came += 1
        call.number = self._came
        self._fresh.append(call)

    def next(self) -> Planned | None:
        """The call to send now; None if it is better to wait for one that is under way, or none is left."""
        if len(self._fresh) * NEWCOMERS > self._left:
            self._make()
        belief = self._belief
        for group in list(self._open):
            if belief.cold(group.prefix):
                continue
            if self._first(group) is None:
                self._open.remove(group)
                continue
            return self._taken(group, sum(belief.idle(other.prefix) for other in self._open if other is not group))
        while self._groups:
            group = self._groups[0]
            if self._first(group) is None:
                self._groups.popleft()
            elif belief.cold(group.prefix):
                self._open.append(self._groups.popleft())
            else:
                call = self._taken(group, self._reserved(group))
                if call is not None:
                    self._open.append(self._groups.popleft())
                return call
        return self.next() if self._fresh and not self._left else None  # all that was planned has been given up

    def _reserved(self, new: Group[Planned]) -> int:
        """Blocks that the open groups, and one that is to be begun, need for their prefix and another member."""
        belief = self._belief
        reserved = belief.room_for(new.members[1], new.prefix) if len(new.members) > 1 else 0
        for group in self._open:
            if group.members:
                reserved += belief.idle(group.prefix) + belief.room_for(group.members[0], group.prefix)
        return reserved

    def _make(self) -> None:
        waiting = [call for group in (*self._open, *self._groups) for call in group.members] + self._fresh
        self._fresh = []
        waiting = [call for call in waiting if not call.gone]
        self._left = len(waiting)
        self._open, self._groups = [], deque()
        for group in groups(waiting):
            at_hand = bool(group.prefix) and self._belief.begun(group.prefix)
            (self._open if at_hand else self._groups).append(group)

    def _first(self, group: Group[Planned]) -> Planned | None:
        while group.members and group.members[0].gone:
            group.members.popleft()
            self._left -= 1
        return group.members[0] if group.members else None

    def _taken(self, group: Group[Planned], reserved: int) -> Planned | None:
        """The next member of a group, if there is room for it beside what is reserved."""
        call = group.members[0]
        if not self._belief.fits(call, reserved):
            return None
        group.members.popleft()
        self._left -= 1
        call.leads = bool(group.members) and not self._belief.warm(group.prefix)
        return call
