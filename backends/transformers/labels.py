"""Labelled tokens: a folder with a file for each question, from which a router of tokens learns.

A file holds the features (`features.py`) of the tokens of one answer, as the small model would have chosen them, and a
label for each: whether the large model chose the same, and if not, whether the small one's leads elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from ...errors import InputError

IDENTICAL, NEUTRAL, DIVERGENT, UNJUDGED = 0, 1, 2, 3
"""Labels: the same token; another that does not matter; another that leads elsewhere; another that nobody judged."""
NAMES = ("identical", "neutral", "divergent", "unjudged")
KEY = "laconic token labels"
"""Under which entry of a file's metadata `Question` stands."""


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file's labels are about."""

    item: str
    """Its id in the data."""
    small: str
    large: str
    vocabulary: str
    """Digests of the two models' weights and of their tokens."""
    judge: str
    prompt: str
    """Digest of what was asked, which tells questions apart however they were labelled; see `prompt_digest`."""


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """The labelled tokens of a folder, those of one question after those of another; numpy arrays."""

    questions: tuple[Question, ...]
    question: Any
    """[n]: which question a token belongs to."""
    logits: Any
    """[n, 100]"""
    total: Any
    """[n]"""
    hidden: Any
    """[n, hidden]"""
    embedding: Any
    """[n, hidden]"""
    label: Any
    """[n]"""
    weight: Any
    """[n]: how many tokens a token stands for: 1, or more where not all mismatches of its question were judged."""

    def of(self, chosen: Any) -> Labelled:
        """The same with a part of the tokens, as a numpy index says."""
        arrays = ("question", "logits", "total", "hidden", "embedding", "label", "weight")
        return msgspec.structs.replace(self, **{name: getattr(self, name)[chosen] for name in arrays})

    @property
    def prompts(self) -> Any:
        """[n]: the digest of the prompt that a token answers."""
        import numpy as np

        return np.array([question.prompt for question in self.questions])[self.question]

    def without(self, prompts: Collection[str]) -> Labelled:
        """The same without the tokens that answer some prompts, given by their digests."""
        import numpy as np

        return self.of(~np.isin(self.prompts, list(prompts)))


def prompt_digest(vocabulary: str, prompt: Sequence[int]) -> str:
    """A hash of a prompt's tokens, and of what tokens these are."""
    return blake2b(msgspec.json.encode((vocabulary, list(prompt))), digest_size=12).hexdigest()


def load_features(path: Path) -> dict[str, Any]:
    """The features in a file, numpy arrays. Raises InputError for a file that is none."""
    return _tensors(path)[0]


def save_labels(path: Path, features: dict[str, Any], labels: Sequence[int], question: Question) -> None:
    """Write a question's file, whole or not at all. Raises InputError if it cannot be written."""
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    kept = {name: array[: len(labels)] for name, array in features.items() if name not in ("token", "ends")}
    beside = path.with_name(f"{path.stem}-{uuid4().hex}.part")  # who labels an equal question meanwhile has another
    try:
        metadata = {KEY: msgspec.json.encode(question).decode()}
        save_file({**kept, "label": np.array(labels, dtype=np.uint8)}, beside, metadata=metadata)
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        raise InputError(f"the labels cannot be written to {str(path)!r}: {error}") from error


def count_labels(path: Path) -> dict[str, int]:
    """How many tokens of a question's file have each label. Raises InputError for a file that is none."""
    arrays, _ = _labels(path)
    return {name: int((arrays["label"] == label).sum()) for label, name in enumerate(NAMES)}


def load_labels(folder: Path) -> Labelled:
    """All labelled tokens in a folder, without those that nobody judged.

    Raises InputError for a folder without any, for a file that is damaged, for labels of different models or judges,
    and for a question that was labelled twice.
    """
    import numpy as np

    paths = sorted(folder.glob("*.labels"))
    if not paths:
        raise InputError(f"there are no labels in {str(folder)!r}; `laconic token-router label` makes them")
    read = [_labels(path) for path in paths]
    first = read[0][1]
    of: dict[str, Path] = {}
    for path, (_, question) in zip(paths, read, strict=True):
        for what in ("vocabulary", "small", "large", "judge"):
            if getattr(question, what) != getattr(first, what):
                raise InputError(
                    f"{str(path)!r} was labelled with another {what} than {paths[0].name}: keep them in two folders"
                )
        twin = of.setdefault(question.prompt, path)
        if twin != path:
            raise InputError(
                f"{str(path)!r} and {twin.name} are one question, labelled with other options (seed, most, "
                "sentence tokens or max_tokens): keep one of the files, or label all questions into a new folder"
            )
    whole = Labelled(
        questions=tuple(question for _, question in read),
        question=np.repeat(np.arange(len(read)), [len(arrays["label"]) for arrays, _ in read]),
        weight=np.concatenate([_weights(arrays["label"]) for arrays, _ in read]),
        **{
            name: np.concatenate([arrays[name] for arrays, _ in read])
            for name in ("logits", "total", "hidden", "embedding", "label")
        },
    )
    return whole.of(whole.label != UNJUDGED)


def _weights(labels: Any) -> Any:
    import numpy as np

    judged = (labels == NEUTRAL) | (labels == DIVERGENT)
    number = max(1, int(judged.sum()))
    return np.where(judged, (number + (labels == UNJUDGED).sum()) / number, 1.0)


def _labels(path: Path) -> tuple[dict[str, Any], Question]:
    arrays, metadata = _tensors(path)
    try:
        return arrays, msgspec.json.decode(metadata[KEY], type=Question)
    except (KeyError, msgspec.MsgspecError) as error:
        raise InputError(f"{str(path)!r} holds no labels of tokens; `laconic token-router label` makes them") from error


def _tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}") from error
