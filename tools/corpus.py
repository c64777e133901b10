"""Corpus: passages read from a JSONL file, a text file, or a folder of text files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..errors import FlowError, InputError
from ..orchestrator.shown import one_line

TEXT_SUFFIXES = (".txt", ".md")
PASSAGE_CHARS = 1000
"""Paragraphs of a text file are put together into passages of up to so many characters; a longer one stays whole."""


class Passage(NamedTuple):
    """What a search can find. Both parts are one line of text, their whitespace collapsed to single spaces."""

    title: str
    text: str


class Corpus(NamedTuple):
    """Where passages come from, and which JSON fields hold them. `title` None means that they have no titles."""

    path: Path
    title: str | None = "title"
    text: str = "text"

    def check(self) -> None:
        """See whether there is anything to read. Raises FlowError that names the path and says what to do."""
        if not self.path.exists():
            raise FlowError(
                f"there is no corpus at {self.path}; put a JSONL file with {self._wanted} in each line there, "
                f"or a folder of {' and '.join(TEXT_SUFFIXES)} files, or correct `corpus` "
                "(a relative path starts at the flow file's folder)"
            )
        if self.path.is_dir() and not self.files():
            raise FlowError(f"the corpus {self.path} is a folder without {' or '.join(TEXT_SUFFIXES)} files")

    def files(self) -> list[Path]:
        """The files to read, in the order of their paths below the folder; hidden ones are left out."""
        if not self.path.is_dir():
            return [self.path]
        below = [(file.relative_to(self.path), file) for file in self.path.rglob("*") if _is_prose(file)]
        visible = [
            (name, file)
            for name, file in below
            if not any(part.startswith(".") for part in name.parts) and file.is_file()
        ]
        return [file for _, file in sorted(visible, key=lambda named: named[0].parts)]

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Path, modification time (ns) and size of every file: what has the same fingerprint is not read again."""
        self.check()
        try:
            stats = [(str(file), file.stat()) for file in self.files()]
        except OSError as error:
            raise InputError(f"the corpus {self.path} cannot be read: {error.strerror}") from error
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)

    def read(self) -> list[Passage]:
        """All passages, in order, exact repetitions and passages without text left out.

        Raises InputError that names the file and line of what is not valid.
        """
        found: dict[Passage, None] = {}
        for file in self.files():
            try:
                content = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
            except OSError as error:
                raise InputError(f"the corpus file {file} cannot be read: {error.strerror}") from error
            lines = content.split(b"\n")
            passages = _prose(file, lines) if _is_prose(file) else self._records(file, lines)
            found.update(dict.fromkeys(passage for passage in passages if passage.text))
        return list(found)

    def _records(self, file: Path, lines: Iterable[bytes]) -> Iterator[Passage]:
        decode = msgspec.json.Decoder().decode
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InputError(f"not valid JSON: {error}", where=f"{file}:{number}") from error
            except RecursionError as error:
                raise InputError("not usable: nested too deeply", where=f"{file}:{number}") from error
            if not isinstance(record, dict):
                raise InputError(f"must be an object with {self._wanted}", where=f"{file}:{number}")
            title = "" if self.title is None else self._field(record, self.title, file, number)
            yield Passage(title, self._field(record, self.text, file, number))

    def _field(self, record: dict[str, Any], name: str, file: Path, number: int) -> str:
        value = record.get(name)
        if not isinstance(value, str):
            what = "missing" if name not in record else f"not text but {type(value).__name__}"
            there = ", ".join(map(repr, list(record)[:8])) or "no fields"
            raise InputError(f"the field {name!r} is {what}; the line has {there}", where=f"{file}:{number}")
        return one_line(value)

    @property
    def _wanted(self) -> str:
        return " and ".join(repr(name) for name in (self.title, self.text) if name is not None)


def _is_prose(file: Path) -> bool:
    return file.suffix.lower() in TEXT_SUFFIXES


def _prose(file: Path, lines: Iterable[bytes]) -> Iterator[Passage]:
    """The passages of a text file: whole paragraphs, as many together as fit; its title is the file's stem."""
    decoded = []
    for number, line in enumerate(lines, 1):
        try:
            decoded.append(line.decode())
        except UnicodeDecodeError as error:
            raise InputError(f"not valid UTF-8: {error.reason}", where=f"{file}:{number}") from error
    title = one_line(file.stem)
    held = ""
    for paragraph in map(one_line, re.split(r"\n\s*\n", "\n".join(decoded))):
        if held and len(held) + 1 + len(paragraph) > PASSAGE_CHARS:
            yield Passage(title, held)
            held = ""
        held = f"{held} {paragraph}".strip()
    yield Passage(title, held)
