"""Server-sent events, as far as model servers use them: bytes in, the `data` of whole events out.

Follows the event-stream format of the WHATWG HTML standard (section 9.2): lines end in LF, CR or CRLF, `data` lines of
one event are joined by LF, lines that begin with a colon are comments (keep-alives), an event ends with an empty line,
and an event that the end of the stream cuts short is dropped. Event names, ids and retry times mean nothing here.
"""

from __future__ import annotations

DONE = b"[DONE]"
"""The data of the event that ends an OpenAI stream."""


class EventReader:
    """Takes a stream's bytes as they arrive, cut anywhere, even inside a character or a line end."""

    def __init__(self) -> None:
        self._line = b""
        """The beginning of a line whose end has not arrived."""
        self._data: list[bytes] = []
        """The data lines of the event whose end has not arrived."""
        self._after_cr = False
        """Whether the last byte was a CR, so that a LF that comes next belongs to it."""
        self._started = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that `piece` completes, in order; undecoded."""
        if not piece:
            return []
        if self._after_cr and piece[:1] == b"\n":
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r") if piece else False
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = (self._line + piece).split(b"\n")
        self._line = lines.pop()
        events: list[bytes] = []
        for line in lines:
            if not self._started:
                self._started = True
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data.clear()
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                self._data.append(b"")
        return events
