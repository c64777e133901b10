"""References: content that was said once is referred to by its id afterwards.

What an agent knows has ids, `ann1`, `ann2`, ..., and messages have, `M1`, `M2`, ... An agent may write `[ann1]` instead
of the text. Whoever is not shown that text otherwise gets it put back, once, on lines of its own before the message
that refers to it: `[ann1: the text]`. A line of a message that repeats what stands above it is shown as its id.

Nothing is lost: whoever reads a prompt from its top can write every id's text in its place. And nothing is given away:
an id is resolved only if its sender had been shown the text, which it could have copied. What merely looks like an id,
in a text of whatever origin, is broken by a space, `[ ann1: ...]`, so that every whole `[ann1` in a prompt is the
engine's word; and only the engine writes at the margin, where texts are put back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..orchestrator.shown import as_data, one_line
from .message import Message, indented

LEAST = 30
"""Characters of a line from which on its id is shorter."""

_ID = r"[A-Za-z][A-Za-z0-9_-]*(?<=\d)(?:\.\d+)?(?![\w-])"
_BRACKET = re.compile(rf"\[(?:\s*({_ID}(?:\s*[,;]\s*{_ID})*)\s*\]|(?=\s*({_ID})))")
"""`[ann1]`, `[M2.1]`, `[ann1, ann2]`; or the bracket before an id with which something else goes on."""
_LISTED = re.compile(r"\s*[,;]\s*")
_MESSAGE = re.compile(r"M\d+")

Labels = Mapping[str, Mapping[str, str]]
"""Agent -> id -> a text that it knows."""


def labelled(contexts: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """An id for each text: its owner's name and a number. No two texts have the same, and none that of a message."""
    labels: dict[str, dict[str, str]] = {}
    taken = {"M"}
    for name, texts in contexts.items():
        prefix = f"{name}-" if name[-1].isdigit() else name
        while prefix in taken:
            prefix += "-"
        taken.add(prefix)
        labels[name] = {f"{prefix}{number}": text for number, text in enumerate(texts, start=1)}
    return labels


@dataclass(frozen=True)
class Passage:
    """A message, or a summary of some, as one reader is shown it."""

    message: Message
    text: str
    """Its text as data, with ids in it if ids are shown."""
    put_back: tuple[str, ...] = ()
    """What the ids in it stand for, where that is not above: each is ready to stand on lines of its own before it."""
    id: str = ""
    """Its own id, if ids are shown."""

    def show(self) -> str:
        """On lines of its own, of which only the first begins at the margin."""
        label = f"[{self.id}] " if self.id else ""
        return f"{label}{self.message.sender or 'Summary of what was said before'}: {indented(self.text)}"


@dataclass(frozen=True)
class Shown:
    """What a prompt shows of a conversation."""

    passages: tuple[Passage, ...]
    known: frozenset[str] = frozenset()
    """The ids of all texts that stand in it."""


class References:
    """The ids of one conversation: of what its agents know, and of its messages so far."""

    def __init__(self, labels: Labels, messages: Sequence[Message]) -> None:
        self.labels = labels
        self.texts = {id: text for texts in labels.values() for id, text in texts.items()}
        self.messages = {message.id: message for message in messages}

    def shown(self, visible: Sequence[Message], reader: str, listed: Collection[str]) -> Shown:
        """How `reader` is shown the messages `visible`, in a prompt that begins with what the agents `listed` know."""
        page = _Page(self, reader)
        for name in listed:
            for id in self.labels.get(name, ()):
                page.stands(id, self.listing(id))
        passages = tuple(page.passage(message) for message in visible)
        return Shown(passages, frozenset(page.known))

    def listing(self, id: str) -> str:
        """A text that an agent knows, as data, in which nothing can be taken for a reference."""

        def broken(found: re.Match[str]) -> str:
            return f"[ {found[0][1:].lstrip()}" if any(map(self._is_id, _ids(found))) else found[0]

        return _BRACKET.sub(broken, as_data(self.texts[id]).strip())

    def resolved(self, message: Message) -> str:
        """The text of a message, as data, in which only what its sender may refer to can be taken for a reference."""

        def resolve(found: re.Match[str]) -> str:
            if not any(map(self._is_id, _ids(found))):
                return found[0]
            if not found[1]:
                return "[ "
            shown = [
                f"[ {one}]" if self._is_id(_id(one)) and not self._may_refer(message, _id(one)) else f"[{one}]"
                for one in _LISTED.split(found[1])
            ]
            return ", ".join(shown)

        return _BRACKET.sub(resolve, as_data(message.text).strip())

    def referred(self, message: Message) -> list[str]:
        """The ids that a message refers to, in their order."""
        ids = [id for found in _BRACKET.finditer(as_data(message.text)) if found[1] for id in _ids(found)]
        return [id for id in ids if self._may_refer(message, id)]

    def _may_refer(self, message: Message, id: str) -> bool:
        """Whether the sender had been shown what it refers to."""
        return id in message.known and (id in self.texts or id in self.messages)

    def _is_id(self, id: str) -> bool:
        """Whether it is, or may come to be, the id of anything."""
        return id in self.texts or _MESSAGE.fullmatch(id) is not None


class _Page:
    """A prompt as it is written, from its top: what stands in it already."""

    def __init__(self, references: References, reader: str) -> None:
        self.references = references
        self.reader = reader
        self.known: set[str] = set()
        self._lines: dict[str, str] = {}
        """Line -> how it is referred to."""
        self._own: dict[str, int] = {}
        """The reader's own messages: id -> the how manyth of its turns. They have no id there until they need one."""
        self._named: set[str] = set()

    def stands(self, id: str, text: str) -> None:
        """Enter a text that now stands in the prompt."""
        self.known.add(id)
        lines = text.splitlines()
        for number, line in enumerate(lines, start=1):
            folded = one_line(line)
            if len(folded) >= LEAST:
                self._lines.setdefault(folded, id if len(lines) == 1 else f"{id}.{number}")

    def passage(self, message: Message) -> Passage:
        """The next message, for which what it refers to is put back if need be."""
        put_back = [line for id in self.references.referred(message) for line in self._explained(id)]
        text = self.references.resolved(message)
        lines = []
        for line in text.splitlines():
            written = self._lines.get(one_line(line))
            if written is not None:
                put_back += self._explained(_id(written))
            lines.append(line if written is None else f"[{written}]")
        is_summary = message.number == 0
        if not is_summary:
            self.stands(message.id, text)
        if message.sender == self.reader:
            self._own[message.id] = len(self._own) + 1
        return Passage(message, "\n".join(lines), tuple(put_back), "" if is_summary else message.id)

    def _explained(self, id: str) -> list[str]:
        """What must be put back so that this id can be used. A text that is put back may refer to others."""
        lines = []
        waiting = [id]
        while waiting:
            id = waiting[-1]
            message = None if id in self.known else self.references.messages.get(id)
            first = [] if message is None else self.references.referred(message)
            unusable = [other for other in first if not self._usable(other)]
            if unusable:
                waiting += reversed(unusable)
                continue
            waiting.pop()
            if self._usable(id):
                continue
            if id in self._own:
                self._named.add(id)
                lines.append(f"[{id}: your message {self._own[id]} above]")
            else:
                text = self.references.listing(id) if message is None else self.references.resolved(message)
                self.stands(id, text)
                lines.append(f"[{id}: {'' if message is None else f'{message.sender}: '}{indented(text)}]")
        return lines

    def _usable(self, id: str) -> bool:
        """Whether its text stands above, under this id."""
        return id in self.known and (id not in self._own or id in self._named)


def _ids(found: re.Match[str]) -> list[str]:
    """The ids in a bracket, without the numbers of lines."""
    return [_id(one) for one in _LISTED.split(found[1] or found[2])]


def _id(written: str) -> str:
    return written.partition(".")[0]
