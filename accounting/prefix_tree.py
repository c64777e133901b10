"""Which of the prompts that wait have a beginning in common: a radix tree, flattened to groups.

The tree is over the blocks of a server's prefix cache (`backends.prefix_cache.hashes`): only whole blocks are shared.
Flattening follows BatchLLM (arXiv 2412.03594, `MaximizeReuse`): a group is a prefix and the prompts that share it, and
a subtree becomes groups of its own where these save more than the prefix it shares with others would. Unlike there,
groups with a common beginning stay neighbours, since a server's cache has all levels of the tree at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import msgspec


class Prompt(Protocol):
    """A prompt that waits."""

    @property
    def marks(self) -> tuple[int, ...]:
        """Hashes of its full blocks, each one of all tokens up to the block's end."""

    @property
    def number(self) -> int:
        """When it came: the lower, the earlier."""

    @property
    def size(self) -> int:
        """Tokens of the prompt."""

    @property
    def expected(self) -> int:
        """Tokens that its answer is expected to have."""

    @property
    def begun(self) -> bool:
        """Whether it belongs to something that is under way already, which should come to its end."""


P = TypeVar("P", bound=Prompt)


class Group(msgspec.Struct, Generic[P]):
    """Prompts that share a prefix, in the order they came. A lone prompt is a group without a prefix."""

    prefix: tuple[int, ...]
    """Hashes of the shared blocks."""
    members: deque[P]


def groups(prompts: Sequence[P]) -> list[Group[P]]:
    """All prompts in groups, in the order in which to send them.

    At every fork of the tree that branch comes first which belongs to something under way, then the one that generates
    most for what it reads, so that its long answers are written beside the prompts that come later.
    """
    found = _tree(sorted(prompts, key=lambda prompt: prompt.marks)).groups
    for group in found:
        group.members = deque(sorted(group.members, key=lambda prompt: prompt.number))
    return found


class _Node(msgspec.Struct, Generic[P]):
    """A subtree, as far as the sorting has come. `depth` blocks are common to all of it."""

    depth: int
    marks: tuple[int, ...]
    """Those of any prompt below."""
    kept: list[P]
    """Prompts that no group of a subtree has taken."""
    branches: list[list[Group[P]]]
    saved: int = 0
    """Blocks that the groups save."""

    def close(self) -> None:
        """Nothing more comes below: what was kept is a group here, if it is more than one."""
        if self.depth == 0:
            self.branches += [[Group((), deque([lone]))] for lone in self.kept]
        elif len(self.kept) > 1:
            self.saved += (len(self.kept) - 1) * self.depth
            self.branches.append([Group(self.marks[: self.depth], deque(self.kept))])
            self.kept = []
        self.branches.sort(key=_urgency)

    def take(self, child: _Node[P]) -> None:
        """A closed child becomes a part of this subtree: its groups where they save more than its members do here."""
        members = [member for group in child.groups for member in group.members]
        if child.saved > len(members) * self.depth:
            self.branches.append(child.groups)
            self.saved += child.saved
            self.kept += child.kept
        else:
            self.kept += members + child.kept

    @property
    def groups(self) -> list[Group[P]]:
        """Those of all branches."""
        return [group for branch in self.branches for group in branch]


def _urgency(branch: Sequence[Group[P]]) -> tuple[bool, float, int]:
    prompts = [prompt for group in branch for prompt in group.members]
    begun = any(prompt.begun for prompt in prompts)
    written, read = sum(prompt.expected for prompt in prompts), sum(prompt.size for prompt in prompts)
    return not begun, -written / max(1, read), min(prompt.number for prompt in prompts)


def _tree(ordered: Sequence[P]) -> _Node[P]:
    """The root of the tree of prompts that are sorted by their marks. A node is closed when the sorting has left it."""
    root: _Node[P] = _Node(0, (), [], [])
    path = [root]
    before: tuple[int, ...] = ()
    for prompt in ordered:
        shared = _common(before, prompt.marks)
        _climb(path, shared)
        if len(prompt.marks) > path[-1].depth:
            path.append(_Node(len(prompt.marks), prompt.marks, [], []))
        path[-1].kept.append(prompt)
        before = prompt.marks
    _climb(path, 0)
    root.close()
    return root


def _climb(path: list[_Node[P]], depth: int) -> None:
    """Leave the nodes deeper than `depth`, and make one of that depth if there is none."""
    while path[-1].depth > depth:
        left = path.pop()
        left.close()
        if path[-1].depth < depth:
            path.append(_Node(depth, left.marks, [], []))
        path[-1].take(left)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many blocks two prompts share; they share one exactly if they share all before it."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[middle - 1] == other[middle - 1]:
            low = middle
        else:
            high = middle - 1
    return low
