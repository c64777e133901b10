from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.backends.sse import EventReader


def read(*pieces: bytes) -> list[bytes]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def test_an_event_comes_out_as_soon_as_its_empty_line_is_there() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\n") == []
    assert reader.feed(b"\n") == [b"a"]
    assert reader.feed(b"data: b\n\ndata: c\n\nda") == [b"b", b"c"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_standard(end: bytes) -> None:
    assert read(end.join([b"data: one", b"data: two", b"", b"data: three", b"", b""])) == [b"one\ntwo", b"three"]


def test_a_carriage_return_completes_an_event_without_waiting_for_what_follows() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\r\r") == [b"a"]
    assert reader.feed(b"\ndata: b\r\n\r\n") == [b"b"]


def test_comments_and_other_fields_are_no_data() -> None:
    assert read(b": keep-alive\n\nevent: x\nid: 1\nretry: 5\ndata: a\n: again\n\n:\n\n") == [b"a"]


def test_only_one_space_is_taken_from_the_front() -> None:
    assert read(b"data:a\n\ndata:  b\n\ndata\n\ndata:\n\n") == [b"a", b" b", b"", b""]


def test_an_event_that_the_end_cuts_short_is_dropped() -> None:
    assert read(b'data: a\n\ndata: {"x": ') == [b"a"]


def test_a_byte_order_mark_belongs_to_no_event() -> None:
    assert read(b"\xef\xbb\xbfdata: a\n\n") == [b"a"]


def test_unicode_line_ends_are_text() -> None:
    text = "a\u2028b\x0bc\x85d".encode()
    assert read(b"data: " + text + b"\n\n") == [text]


@given(
    st.lists(st.text().filter(lambda text: not set(text) & set("\r\n")), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_where_packets_are_cut_does_not_matter(texts: list[str], end: str, data: st.DataObject) -> None:
    whole = "".join(f": ping{end}{end}data: {text}{end}{end}" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(*pieces) == [text.encode() for text in texts]
