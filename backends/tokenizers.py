"""Token counts made by us: from a `tokenizer.json`, from tiktoken, or, where allowed, an upper bound.

`shipped()` is a small real tokenizer of our own, `tokenizer.json` beside this file: a byte-level BPE of at most 2,048
tokens, trained with the `tokenizers` package on titles and texts of `workflows/data/encyclopedia.jsonl` (ours)::

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=2048, min_frequency=2, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"]))
    tokenizer.save("tokenizer.json", pretty=False)

It encodes any text without loss, and is what `ScriptedBackend` counts with.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from ..errors import TokenizerUnavailable
from .backend import Count
from .chat_template import ChatTemplate
from .patience import within
from .request import ADDED, MARKS

if TYPE_CHECKING:
    import tiktoken
    import tokenizers
    from tokenizers.decoders import DecodeStream

    from .request import Request

MESSAGE_BOUND = 8
"""Tokens that a chat template is taken to add to a message, in an upper bound."""
SYSTEM_BOUND = 64
"""Tokens of the system message that a chat template is taken to add to a chat without one, in an upper bound."""
LOADING_LIMIT = 15.0
"""Seconds that tiktoken may take to fetch an encoding before we give up on it."""


@runtime_checkable
class Tokenizer(Protocol):
    """Turns text into a model's token ids and back, and counts what a request will be."""

    name: str
    """The file or the model it is the tokenizer of."""

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; text that looks like a special token is text."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        ...

    def count_request(self, request: Request) -> Count:
        """Prompt tokens of a request; raises `TokenizerUnavailable` if this tokenizer cannot count it."""
        ...


def upper_bound(request: Request) -> Count:
    """A count that the real one hardly ever exceeds: the UTF-8 bytes of the text, and 8 tokens a message and once more.

    A token of text is at least a byte. Templates add to it: 64 tokens more are taken for the system message that many
    put before a chat without one, and for the request's `schema`, tools and documents the bytes of their JSON. Token
    ids are counted as they are, and so exactly.
    """
    if request.prompt_token_ids is not None:
        return Count(len(request.prompt_token_ids), "counted")
    tokens = MESSAGE_BOUND + len((request.prompt or "").encode())
    if request.messages and request.messages[0].role != "system":
        tokens += SYSTEM_BOUND
    for message in request.messages or ():
        tokens += MESSAGE_BOUND + len(message.content.encode()) + len((message.name or "").encode())
    return Count(tokens + _appendix(request), "estimated")


def _appendix(request: Request) -> int:
    """UTF-8 bytes of what a server may write into the prompt beside the messages."""
    parts: list[Any] = [request.extra[key] for key in ("tools", "functions", "documents") if key in request.extra]
    if request.schema is not None:
        parts.append(request.schema)
    return sum(len(msgspec.json.encode(part)) for part in parts)


class FileTokenizer:
    """The tokenizer of a `tokenizer.json`, with the chat template found beside it."""

    def __init__(self, path: str | Path, *, template: ChatTemplate | None = None) -> None:
        """Load the file. `template` replaces the one beside it.

        Raises `TokenizerUnavailable` if the file is not there or is not a tokenizer.
        """
        self.path = Path(path).expanduser()
        if self.path.is_dir():
            self.path = self.path / "tokenizer.json"
        self.name = str(self.path)
        if not self.path.is_file():
            raise TokenizerUnavailable(f"There is no tokenizer file at {self.path}.")
        import tokenizers

        try:
            self._tokenizer: tokenizers.Tokenizer = tokenizers.Tokenizer.from_file(str(self.path))
        except Exception as error:  # the package raises bare Exception for a file it cannot read
            raise TokenizerUnavailable(f"{self.path} is not a tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.template = template or ChatTemplate.beside(self.path)
        self._lock = threading.Lock()

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; nothing is added, and text that looks like a special token is text."""
        return self._encode(text, literal=True, add=False)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens included; bytes that are not UTF-8 become U+FFFD."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """What text each token adds to those before it; a character is added whole, by the token that ends it."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        return [self.step(stream, token) for token in ids]

    def step(self, stream: DecodeStream, token: int) -> str:
        """What text a token adds to those that a stream has had; a character is added whole, with its last byte."""
        return stream.step(self._tokenizer, token) or ""

    def piece(self, token: int) -> str:
        """The text of one token by itself; bytes that are not UTF-8 become U+FFFD."""
        return self.decode((token,))

    def vocabulary(self) -> dict[str, int]:
        """All tokens, special ones included, and their ids."""
        return self._tokenizer.get_vocab()

    @property
    def size(self) -> int:
        """How many tokens there are, special ones included."""
        return self._tokenizer.get_vocab_size()

    def prompt_ids(self, request: Request) -> list[int]:
        """The token ids a server computes for a request; see `ADDED` and `MARKS` for text.

        Raises `TokenizerUnavailable` for a chat if there is no chat template, or it does not accept the messages.
        """
        if request.prompt_token_ids is not None:
            return list(request.prompt_token_ids)
        if request.messages is None:
            added, marks = (bool(request.extra.get(name, True)) for name in (ADDED, MARKS))
            return self._encode(request.prompt or "", literal=not marks, add=added)
        return self._chat_ids(request)

    def count_request(self, request: Request) -> Count:
        """Prompt tokens of a request, exactly; raises as `prompt_ids` does."""
        ids = request.prompt_token_ids or tuple(self.prompt_ids(request))
        return Count(len(ids), ids=ids)

    def _chat_ids(self, request: Request) -> list[int]:
        if self.template is None:
            raise TokenizerUnavailable(
                f"{self.path} has no chat template beside it, so that a chat cannot be counted exactly. Put the "
                "model's chat_template.jinja or tokenizer_config.json in its folder, use a server that counts prompts "
                "(/tokenize), or set `estimate: true`."
            )
        return self._encode(self.template.render(request), literal=False, add=False)

    def _encode(self, text: str, *, literal: bool, add: bool) -> list[int]:
        with self._lock:  # the switch belongs to the tokenizer, not to the call
            self._tokenizer.encode_special_tokens = literal
            return self._tokenizer.encode(text, add_special_tokens=add).ids


class ShippedTokenizer(FileTokenizer):
    """Our own small tokenizer, with a chat template plain enough to compute in one's head.

    A turn is the token of its role (`<|system|>`, `<|user|>`, `<|assistant|>` or `<|tool|>`), its name and a colon if
    it has a name, its content, and `<|end|>`; the token `<|assistant|>` opens the answer. So a chat costs two tokens a
    message and one more. Content is always plain text: it cannot hold a special token.
    """

    def __init__(self) -> None:
        super().__init__(Path(__file__).with_name("tokenizer.json"))
        roles = ("system", "user", "assistant", "tool", "end")
        self._marks = {role: self._encode(f"<|{role}|>", literal=False, add=False)[0] for role in roles}

    def prompt_ids(self, request: Request) -> list[int]:
        """The token ids of a request; text is always plain text."""
        if request.prompt is not None:
            return self.encode(request.prompt)
        return super().prompt_ids(request)

    def _chat_ids(self, request: Request) -> list[int]:
        ids: list[int] = []
        for message in request.messages or ():
            ids.append(self._marks[message.role])
            ids += self.encode(message.content if message.name is None else f"{message.name}: {message.content}")
            ids.append(self._marks["end"])
        ids.append(self._marks["assistant"])
        return ids


@cache
def shipped() -> ShippedTokenizer:
    """The tokenizer that comes with Laconic, loaded once."""
    return ShippedTokenizer()


class TiktokenTokenizer:
    """Counts for OpenAI's model names, with the overhead OpenAI documents for chats.

    Every message costs 3 tokens, a name 1 more, and the opening of the answer 3. Tools and schemas are written into the
    prompt in a way that is not published: a request with them gets an upper bound, marked as estimated.
    """

    def __init__(self, model: str) -> None:
        """Find out the encoding of a model name; raises `TokenizerUnavailable` if it is not one of OpenAI's."""
        self.name = model
        self.encoding = _encoding_name(model)
        """The encoding's name, such as `o200k_base`."""
        self._loaded: tiktoken.Encoding | None = None

    def load(self) -> tiktoken.Encoding:
        """The encoding itself, loaded at first use, and fetched at the first use on a machine.

        Raises `TokenizerUnavailable` if it is not on this machine and cannot be fetched within 15 seconds.
        """
        if self._loaded is None:
            self._loaded = _load_encoding(self.encoding, self.name)
        return self._loaded

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; text that looks like a special token is text. Raises as `load` does."""
        return self.load().encode_ordinary(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids. Raises as `load` does."""
        return self.load().decode(list(ids))

    def count_request(self, request: Request) -> Count:
        """Prompt tokens of a request. Raises as `load` does."""
        if request.prompt_token_ids is not None:
            return Count(len(request.prompt_token_ids))
        if request.messages is None:
            return Count(len(self.encode(request.prompt or "")))
        tokens = 3
        for message in request.messages:
            tokens += 3 + len(self.encode(message.role)) + len(self.encode(message.content))
            if message.name is not None:
                tokens += 1 + len(self.encode(message.name))
        more = _appendix(request)
        return Count(tokens + more, "estimated" if more else "counted")


WAYS_OUT = (
    "Ways out: set TIKTOKEN_CACHE_DIR to a folder that holds the encoding, give the model's tokenizer.json "
    "(`options: {tokenizer: PATH}`), use a server that counts prompts (/tokenize), or set `estimate: true`."
)

_given_up: set[str] = set()
"""Encodings that did not come in time; their threads may still be at it."""


def _encoding_name(model: str) -> str:
    import tiktoken

    try:
        return tiktoken.encoding_name_for_model(model)
    except KeyError:
        raise TokenizerUnavailable(f"tiktoken knows no encoding for the model {model!r}. {WAYS_OUT}") from None


def _load_encoding(name: str, model: str) -> tiktoken.Encoding:
    import tiktoken

    try:  # tiktoken itself fetches without a limit in time, and one that hangs makes all others wait
        limit = 0.5 if name in _given_up else LOADING_LIMIT
        return within(limit, lambda: tiktoken.get_encoding(name), name=f"tiktoken-{name}")
    except Exception as error:  # whatever its HTTP client, its cache folder or its hash check raises
        if isinstance(error, TimeoutError):
            _given_up.add(name)
        reason = str(error) if isinstance(error, TimeoutError) else type(error).__name__
        raise TokenizerUnavailable(
            f"The encoding {name!r} of the model {model!r} is not on this machine and could not be fetched ({reason}). "
            + WAYS_OUT
        ) from error


def load_tokenizer(where: str | Path) -> Tokenizer:
    """The tokenizer that a flow file names: a `tokenizer.json`, its folder, or one of OpenAI's model names.

    Raises `TokenizerUnavailable`.
    """
    path = Path(where).expanduser()
    if path.exists() or isinstance(where, Path) or path.suffix == ".json" or len(path.parts) > 1:
        return FileTokenizer(path)
    return TiktokenTokenizer(str(where))
