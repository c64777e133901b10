"""Which text is which tokens, as different servers report it; where a step ends."""

from __future__ import annotations

import pytest

from laconic.backends.request import Completion, TokenLogprob
from laconic.backends.usage import UNKNOWN
from laconic.routers.pieces import pieces
from laconic.routers.steps import Kind, Step, statement_ends


def said(text: str, *tokens: str | bytes) -> Completion:
    entries = []
    for token in tokens:
        shown = token if isinstance(token, str) else token.decode(errors="ignore")
        entries.append(TokenLogprob(shown, 0.0, raw=b"" if isinstance(token, str) else token))
    return Completion(text=text, usage=UNKNOWN, token_ids=tuple(range(len(tokens))), logprobs=tuple(entries))


@pytest.mark.parametrize(
    ("completion", "trimmed", "expected"),
    [
        (said("a b", "a", " b"), True, [("a", (0,)), (" b", (1,))]),
        # llama.cpp takes the stop string away, and holds back what may begin one.
        (said("a", "a", ".", " T"), True, [("a", (0,)), (".", (1,)), (" T", (2,))]),
        (said("a", "a.", " T"), True, [("a.", (0,)), (" T", (1,))]),
        (said("é", b"\xc3", b"\xa9", " b", ""), True, [("é", (0, 1)), (" b", (2,))]),
        (said("é", b"\xc3", b"\xa9", b"\xf0", b"\x9f"), True, [("é", (0, 1))]),
        # vLLM shows it, and names the token that ends the answer.
        (said("a\n", "a", "\n\n"), False, [("a", (0,)), ("\n\n", (1,))]),
        (said("a.", "a", ".", "<|im_end|>"), False, [("a", (0,)), (".", (1,))]),
        (said("é b", "", "é", " b"), False, [("é", (0, 1)), (" b", (2,))]),
        # Tokens of SentencePiece have lost their space.
        (said(" a b. C", "a", "b", ".", "C"), False, [(" a", (0,)), (" b", (1,)), (".", (2,)), (" C", (3,))]),
        (said("a. ", "a", ".", "Cat"), False, [("a", (0,)), (".", (1,)), (" Cat", (2,))]),
        # Parts of characters that nobody tells: the next token that can be found ends the piece.
        (said("aéb", "a", "\ufffd", "\ufffd", "b"), True, [("a", (0,)), ("éb", (1, 2, 3))]),
        (said("日日日c", *["\ufffd"] * 4, "日", "c"), True, [("日日日c", (0, 1, 2, 3, 4, 5))]),
        (said("a日", "a", "\ufffd", "\ufffd", "\ufffd"), True, [("a", (0,)), ("日", None)]),
        (said("🙂", b"\x99\x82", "\n"), True, [("🙂\n", None)]),
        (said("", "\ufffd"), True, []),
        (said("", "<|im_end|>"), False, []),
    ],
)  # fmt: skip
def test_text_and_tokens_are_matched(
    completion: Completion, trimmed: bool, expected: list[tuple[str, tuple[int, ...] | None]]
) -> None:
    assert [(piece.text, piece.ids) for piece in pieces(completion, trimmed=trimmed)] == expected


def test_without_ids_the_text_is_all_there_is() -> None:
    completion = Completion(text="a b", usage=UNKNOWN, logprobs=(TokenLogprob("a", 0.0), TokenLogprob(" b", 0.0)))
    assert [(piece.text, piece.ids) for piece in pieces(completion, trimmed=True)] == [("a", None), (" b", None)]


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("x = 1\n", True), ("x = 1;", True), ("x = 1", False), ("\n\n", False), ("f(\n1,\n", False),
        ("f(\n1,\n)\n", True),
        ("a = [1;\n", False), ("s = 'a;b'", False), ("s = 'a;b'\n", True), ("x = \\\n", False), ("x = \\\n 1\n", True),
        ('"""a\n', False), ('"""a\nb"""\n', True), ("'''a\n;", False), ("# don't (\n", True), ("// it's (\n", True),
        ("for (i = 0; i < 9; ", False), ("for (i = 0; i < 9; i++) {\n", True), ("don't (see\n", True), ("}\n", True),
    ],
)  # fmt: skip
def test_where_a_statement_ends(code: str, ends: bool) -> None:
    assert statement_ends(code) == ends


@pytest.mark.parametrize(
    ("kind", "text", "ends"),
    [("line", "\n\n", False), ("line", "\na", False), ("line", "\na\n", True), ("line", "a. b", False),
     ("sentence", "1.5", False), ("sentence", "So. T", True), ("sentence", "Title\n", True)],
)  # fmt: skip
def test_what_is_blank_is_no_step(kind: Kind, text: str, ends: bool) -> None:
    assert Step(kind, 99, text, 1).ended == ends
