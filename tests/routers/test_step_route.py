"""Two models behind servers on one answer: what stands, what is replaced, and the seam between two tokenizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.accounting.activation import Tokens
from laconic.backends import ScriptedBackend
from laconic.backends.backend import ServerFacts
from laconic.backends.request import Completion, OnDelta, Request, TokenLogprob
from laconic.backends.tokenizers import FileTokenizer, ShippedTokenizer, shipped
from laconic.backends.usage import Usage
from laconic.errors import BackendUnreachable
from laconic.orchestrator import Flow, Result
from laconic.routers import Routed
from laconic.routers.step_route import StepRoute

Told = Literal["bytes", "pieces", "broken"]
"""How a server reports a token that is only a part of a character."""


class OneByteATokens(ShippedTokenizer):
    """The chat template of the shipped tokenizer, and a token for each byte."""

    def __init__(self) -> None:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        specials = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        tokenizer = Tokenizer(models.BPE(vocab={token: place for place, token in enumerate(alphabet)}, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(specials)
        with TemporaryDirectory() as folder:
            tokenizer.save(str(Path(folder) / "tokenizer.json"))
            FileTokenizer.__init__(self, Path(folder))
        self._marks = {mark[2:-2]: self._encode(mark, literal=False, add=False)[0] for mark in specials}


@cache
def one_byte_a_token() -> OneByteATokens:
    return OneByteATokens()


GoOn = Callable[[str], str]
"""What a model says after the answer so far."""
UNSURE, SURE = (("a", math.log(0.5)), ("b", math.log(0.5))), (("a", 0.0), ("b", -50.0))


class Writer(ScriptedBackend):
    """Goes on with the answer that its prompt holds; in doubt about the tokens that `unsure` names."""

    def __init__(
        self,
        go_on: GoOn,
        *,
        tokenizer: FileTokenizer | None = None,
        unsure: Callable[[int, str], bool] = lambda place, token: False,
        told: Told = "pieces",
        **more: Any,
    ) -> None:
        super().__init__(lambda request: go_on(self.so_far(request)), tokenizer=tokenizer or shipped(), **more)
        self._unsure, self._told = unsure, told
        self.places = 0

    def so_far(self, request: Request) -> str:
        assert request.prompt_token_ids is not None
        return self._tokenizer.decode(request.prompt_token_ids).split("<|assistant|>", 1)[1]

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        said = await super().complete(request, on_delta)
        return msgspec.structs.replace(said, logprobs=tuple(self._entries(said.token_ids or ())))

    def _entries(self, ids: Sequence[int]) -> Any:
        for token, piece in zip(ids, self._tokenizer.pieces(ids), strict=True):
            self.places += 1
            raw = b""
            alone = self._tokenizer.decode([token])
            if self._told != "pieces":
                piece = alone
            if self._told == "bytes" and "\ufffd" in alone:
                raw = bytes(LETTERS[letter] for letter in words(self._tokenizer)[token])
            yield TokenLogprob(piece, 0.0, token, UNSURE if self._unsure(self.places, alone) else SURE, raw)


@cache
def words(tokenizer: FileTokenizer) -> dict[int, str]:
    return {number: word for word, number in tokenizer.vocabulary().items()}


PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
LETTERS = {chr(n): n for n in PRINTABLE} | {chr(256 + k): n for k, n in enumerate(sorted({*range(256)} - {*PRINTABLE}))}
"""The bytes that byte-level tokenizers write as these letters."""


def towards(text: str) -> GoOn:
    """A model that writes this text, wherever it comes in; it notices every character that is lost or doubled."""

    def go_on(so_far: str) -> str:
        assert text.startswith(so_far), (so_far, text)
        return text[len(so_far) :]

    return go_on


def doubtful(*words: str) -> Callable[[int, str], bool]:
    return lambda place, token: token.strip() in words


async def write(small: ScriptedBackend, large: ScriptedBackend, *, budget: Any = None, **fields: Any) -> Result:
    wanted = {} if {"above", "share", "by"} & set(fields) else {"by": "margin", "above": 0.5}
    flow = Flow(
        name="steps",
        models={role: {"backend": "scripted", "model": role, "retries": 0} for role in ("small", "large")},
        nodes={"answer": StepRoute(**{"prompt": "How?", **wanted, **fields})},
        outputs={"answer": "{{ answer }}"},
        budget=budget,
    )
    return await flow.run(backends={"small": small, "large": large})


def answer_of(result: Result) -> Routed:
    assert result.error is None, result.error
    answer = result.outputs["answer"]
    assert isinstance(answer, Routed)
    return answer


TEXTS = st.text(
    st.one_of(
        st.sampled_from("ab .\n;()'\"é日🙂👩\u200d🚀"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"),
    ),
    max_size=40,
)
TOKENIZERS = st.sampled_from([shipped, one_byte_a_token])


@settings(max_examples=100)
@given(
    text=TEXTS,
    small=TOKENIZERS,
    large=TOKENIZERS,
    unsure=st.sets(st.integers(1, 150)),
    told=st.sampled_from(["bytes", "pieces", "broken"]),
    step=st.sampled_from(["line", "sentence", "statement"]),
    on_doubt=st.sampled_from(["continue", "rewrite"]),
    step_tokens=st.integers(8, 40),
)
async def test_nothing_is_lost_or_doubled_at_a_seam(
    text: str,
    small: Callable[[], FileTokenizer],
    large: Callable[[], FileTokenizer],
    unsure: set[int],
    told: Told,
    step: str,
    on_doubt: str,
    step_tokens: int,
) -> None:
    writers = [
        Writer(towards(text), tokenizer=small(), unsure=lambda place, token: place in unsure, told=told),
        Writer(towards(text), tokenizer=large(), told=told),
    ]
    fields = {"step": step, "on_doubt": on_doubt, "step_tokens": step_tokens, "max_tokens": 1000}
    result = await write(*writers, **fields)
    answer = answer_of(result)
    assert answer == text
    assert "".join(span.text for span in answer.spans) == text
    spent = result.ledger.by("model")
    assert spent["small"].completion == answer.small.written + answer.small.replaced
    for role, share in (("small", answer.small), ("large", answer.large)):
        told = Tokens.of(result.ledger.select(model=role).calls)
        assert (told.written, told.replaced) == (share.written, share.replaced)
    if answer.large.calls:
        assert spent["large"].completion == answer.large.written + answer.large.replaced


SMALL = "A hen lays one egg. It says moo. The end."
LARGE = "A hen lays one egg. It says cluck. The end."


def after(text: str, other: str) -> GoOn:
    """Goes on with `text`, or, where the answer already differs from it, with `other`."""
    return lambda so_far: (text if text.startswith(so_far) else other)[len(so_far) :]


async def test_a_doubtful_step_is_continued_from_its_doubtful_token_on() -> None:
    small = Writer(after(SMALL, LARGE), unsure=doubtful("m", "mo", "moo"))
    answer = answer_of(await write(small, Writer(towards(LARGE))))
    assert answer == LARGE
    before, moved, rest = answer.spans
    assert (before.by, before.text) == ("small", "A hen lays one egg. It says")
    assert (moved.by, rest.by) == ("large", "small")
    assert moved.text.startswith(" cluck.")
    assert answer.small.replaced > 0


async def test_a_doubtful_step_is_rewritten_and_its_calls_are_discarded() -> None:
    small = Writer(after(SMALL, LARGE), unsure=doubtful("m", "mo", "moo"))
    result = await write(small, Writer(towards(LARGE)), on_doubt="rewrite")
    answer = answer_of(result)
    assert answer == LARGE
    assert [span.by for span in answer.spans] == ["small", "large", "small"]
    assert answer.spans[1].text.startswith((" says", "says", " says cluck", "t says", " It says", "It says"))
    discarded = result.ledger.total(status="discarded")
    assert (discarded.calls, discarded.completion) == (1, answer.small.replaced)


async def test_what_both_read_before_is_in_their_caches() -> None:
    lines = "\n".join(f"line {number} of a long list of many lines" for number in range(12))
    small = Writer(towards(lines), unsure=lambda place, token: token == "7")
    result = await write(small, Writer(towards(lines)), step="line")
    answer = answer_of(result)
    spent = result.ledger.by("model")["small"]
    assert spent.calls == 12
    assert spent.cache_read > spent.prompt / 2
    assert answer.small.read == spent.prompt - spent.cache_read


@pytest.mark.parametrize(("above", "by"), [(math.inf, "small"), (-math.inf, "large")])
async def test_at_the_extremes_one_model_writes_alone(above: float, by: str) -> None:
    small, large = (
        Writer(towards(SMALL), unsure=lambda *_: True),
        Writer(towards(LARGE), tokenizer=one_byte_a_token()),
    )
    answer = answer_of(await write(small, large, by="margin", above=above))
    assert answer == {"small": SMALL, "large": LARGE}[by]
    assert [span.by for span in answer.spans] == [by]
    assert len({"small": large, "large": small}[by].requests) == 0


async def test_a_wanted_share_of_the_tokens_is_the_large_models() -> None:
    text = "one two three four five. " * 160
    small = Writer(towards(text), unsure=lambda place, token: place % 3 == 0)
    fields = {"share": 0.4, "max_tokens": 4000, "on_doubt": "rewrite"}
    answer = answer_of(await write(small, Writer(towards(text)), **fields))
    assert answer.share == pytest.approx(0.4, abs=0.1)
    answer = answer_of(await write(small, Writer(towards(text)), by="random", **fields))
    assert answer.share == pytest.approx(0.4, abs=0.15)


async def test_by_chance_other_steps_of_each_question_are_the_large_models() -> None:
    text = "one two three four five. " * 30
    turns = set()
    for question in ("Who?", "Why?", "When?"):
        answers = [
            answer_of(await write(Writer(towards(text)), Writer(towards(text)), by="random", prompt=question))
            for _ in range(2)
        ]
        assert answers[0].spans == answers[1].spans
        turns.add(tuple((span.by, span.text) for span in answers[0].spans))
    assert len(turns) == 3


async def test_a_step_that_never_ends_is_cut_at_its_cap() -> None:
    text = "word " * 50
    small = Writer(towards(text))
    assert answer_of(await write(small, Writer(towards(text)), step="line", step_tokens=16)) == text
    assert {request.max_tokens for request in small.requests} == {16}


async def test_an_answer_is_no_longer_than_it_may_be() -> None:
    text = "word. " * 50
    answer = answer_of(await write(Writer(towards(text)), Writer(towards(text)), max_tokens=21))
    assert answer.small.written == 21
    assert text.startswith(answer)


async def test_an_answer_may_be_empty() -> None:
    result = await write(Writer(towards("")), Writer(towards("")))
    assert (answer_of(result), len(result.ledger.calls)) == ("", 1)


CODE = "total = add(\n    'a;b',\n    [1, 2],\n)\nprint(total); x = '''\n;\n'''\n"


async def test_a_statement_goes_on_over_lines_in_brackets_and_strings() -> None:
    small = Writer(towards(CODE), unsure=doubtful(")", ")\n"))
    large = Writer(towards(CODE))
    result = await write(small, large, step="statement", on_doubt="rewrite")
    answer = answer_of(result)
    assert answer == CODE
    assert answer.spans[0].by == "large"
    assert answer.spans[0].text.startswith("total = add(")
    assert answer.small.replaced > 0


class Dying(Writer):
    """Is gone after so many calls."""

    lives = 1

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        if len(self.requests) >= self.lives:
            raise BackendUnreachable("the large model is gone")
        return await super().complete(request, on_delta)


@pytest.mark.parametrize("on_doubt", ["continue", "rewrite"])
@pytest.mark.parametrize("lives", [0, 1])
async def test_without_the_large_model_the_small_ones_steps_stand(on_doubt: str, lives: int) -> None:
    text = "one ~ two. three ~ four. five ~ six. seven."
    small, large = Writer(towards(text), unsure=doubtful("~")), Dying(towards(text))
    large.lives = lives
    failed = await write(small, large, on_doubt=on_doubt)
    assert "the large model is gone" in str(failed.error)
    large.requests.clear()
    result = await write(small, large, on_doubt=on_doubt, without_large="small")
    answer = answer_of(result)
    assert answer == text
    assert bool(answer.large.written) == bool(lives)
    assert "small wrote the rest" in result.explain()


async def test_a_budget_is_a_wall_and_what_is_written_stands() -> None:
    text = "one ~ two. three ~ four. five ~ six. seven."
    for calls in range(1, 7):
        small = Writer(towards(text), unsure=doubtful("~"))
        result = await write(small, Writer(towards(text)), budget={"calls": calls})
        assert (result.status, len(result.ledger.calls)) == ("budget", calls)
        assert result.outputs["answer"]
        assert text.startswith(result.outputs["answer"])


class Silent(Writer):
    """Reports no logprobs."""

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        return msgspec.structs.replace(await super().complete(request, on_delta), logprobs=None)


async def test_a_server_without_logprobs_is_told() -> None:
    result = await write(Silent(towards(SMALL)), Writer(towards(SMALL)))
    assert "'small' gave no logprobs" in str(result.error)
    result = await write(Writer(towards(SMALL)), Silent(towards(SMALL)), above=-math.inf)
    assert "'large' gave no logprobs" in str(result.error)


class Secretive(Writer):
    """Counts prompts and does not tell their tokens."""

    async def count(self, request: Request) -> Any:
        return msgspec.structs.replace(await super().count(request), ids=None)


async def test_a_server_that_tells_no_tokens_is_told() -> None:
    result = await write(Secretive(towards(SMALL)), Writer(towards(SMALL)))
    assert "vLLM or llama.cpp" in str(result.error)
    assert len(result.ledger.calls) == 0


class LikeVLLM(Writer):
    """Knows what vLLM knows, and shows the stop string with what is known of its last token."""

    async def facts(self) -> ServerFacts:
        known = frozenset({"return_token_ids", "include_stop_str_in_output"})
        return msgspec.structs.replace(await super().facts(), completion_fields=known, most_logprobs=5)

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
        assert request.extra == {"return_token_ids": True, "include_stop_str_in_output": True}
        said = await super().complete(request, on_delta)
        whole = self._tokenizer.decode(said.token_ids or ())
        shown = next((stop for stop in request.stop if whole[len(said.text) :].startswith(stop)), "")
        ended = not shown and said.finish_reason == "stop"
        entries = said.logprobs or ()
        return msgspec.structs.replace(
            said,
            text=said.text + shown,
            token_ids=(said.token_ids or ()) + (1,) * ended,
            logprobs=entries + (TokenLogprob("<|im_end|>", 0.0, 1, SURE),) * ended,
        )


@pytest.mark.parametrize("text", [SMALL, "One 🙂.\n\nTwo é日.\n\n  Three", "x\n\n\n"])
async def test_servers_that_show_the_stop_string_and_the_end_token(text: str) -> None:
    small, large = LikeVLLM(towards(text), unsure=lambda place, _: place % 5 == 0), LikeVLLM(towards(text))
    answer = answer_of(await write(small, large))
    assert answer == text
    assert {request.logprobs for request in small.requests} == {5}


async def test_ids_are_handed_on_where_the_tokens_are_the_same() -> None:
    def asked_of(backend: ScriptedBackend) -> tuple[int, ...]:
        return backend.requests[-1].prompt_token_ids or ()

    # "nothing" in tokens that its text would not give.
    odd = tuple(token for letter in "nothing ~" for token in shipped().encode(letter))

    class Odd(Writer):
        async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Completion:
            said = await super().complete(request, on_delta)
            return msgspec.structs.replace(
                said, token_ids=odd, logprobs=tuple(self._entries(odd)), usage=Usage(9, len(odd))
            )

    for tokenizer, same in ((shipped(), True), (one_byte_a_token(), False)):
        small = Odd(towards("nothing ~"), unsure=doubtful("~"))
        large = Writer(towards("nothing ~"), tokenizer=tokenizer)
        assert answer_of(await write(small, large)) == "nothing ~"
        assert (asked_of(large)[-len(odd) + 1 :] == odd[:-1]) == same


@pytest.mark.parametrize(
    "fields",
    [{"above": 1, "share": 0.5}, {"above": math.nan}, {"small": "x", "large": "x"}, {"by": "aleatoric"},
     {"step": "word"}, {"step_tokens": 3}],
)  # fmt: skip
def test_fields_that_make_no_sense_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"give one of them|is a number|same role|Input should be"):
        StepRoute(prompt="?", **fields)
