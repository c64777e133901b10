"""Features: an item as a row of figures, from its words, its length and what is known of it.

What there is to learn (which words there are and how rare each is, how far figures spread) is learned from the training
items alone, so that an item that is judged has not been seen by any part of the router.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from .embeddings import embed
from .keywords import keywords

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1
"""Of what is made of an item. Raise it when a feature changes: routers that were trained before are then refused."""

Kind = Literal["number", "word", "names"]
Value = float | str | Sequence[str]
Question = tuple[str, Mapping[str, Value]]
"""An item's text and features."""

WORDS, PIECES, TOPICS = 2000, 2000, 40
"""Most words and pairs of words, most pieces of words, and to how many directions both are condensed."""
FAR = 5.0
"""Standard deviations from the training items' mean beyond which a figure says no more."""


def kinds_of(items: Sequence[Question]) -> dict[str, Kind]:
    """The kind of each feature. Raises InputError if an item lacks one, or has it in another kind."""
    kinds = {name: _kind(name, value) for name, value in items[0][1].items()} if items else {}
    for _, features in items:
        check(features, kinds)
        extra = sorted(features.keys() - kinds.keys())
        if extra:
            raise InputError(f"one item has the feature {extra[0]!r} and another has not; every item needs the same")
    return kinds


def check(features: Mapping[str, Value], kinds: Mapping[str, Kind]) -> None:
    """See whether an item has the features of these kinds. Raises InputError."""
    for name, kind in kinds.items():
        if name not in features:
            there = ", ".join(features) or "none"
            raise InputError(
                f"the feature {name!r} is missing: the router looks at {', '.join(kinds)}; the item has {there}"
            )
        if _kind(name, features[name]) != kind:
            raise InputError(f"the feature {name!r} was a {kind} in training, and is {features[name]!r} here")


def figures(text: str, features: Mapping[str, Value]) -> dict[str, float]:
    """An item in figures that need no learning. A list of names counts; a word is 1 under its own name."""
    found = {
        "characters": float(len(text)),
        "words": float(len(text.split())),
        "numbers": float(len(re.findall(r"\d+(?:[.,]\d+)*", text))),
        "names": float(len(re.findall(r"(?<=\s)[A-Z]\w*", text))),
        "quoted": float(len(re.findall(r"[\"“'‘][^\"”'’]+[\"”'’]", text))),
        **{f"asks: {name}": count for name, count in keywords(text).items()},
    }
    for name, value in features.items():
        if isinstance(value, str):
            found[f"{name} = {value}"] = 1.0
        else:
            found[f"given: {name}"] = float(len(value)) if isinstance(value, Sequence) else float(value)
    return found


@dataclass(frozen=True)
class Features:
    """What was learned of the features, in scikit-learn's own objects; None where no training item has a word."""

    words: Any
    pieces: Any
    topics: Any
    """Condenses words and pieces of words to a few directions."""
    figures: Any
    scale: Any
    embeddings: str = ""
    """Name of the model that gives sentence embeddings."""

    def rows(self, items: Sequence[Question]) -> NDArray[np.float64]:
        """A row for each item."""
        import numpy as np

        scaled = self.scale.transform(self.figures.transform([figures(*item) for item in items]))
        parts = [np.clip(scaled, -FAR, FAR)]
        texts = [text for text, _ in items]
        if self.topics is not None:
            parts.append(self.topics.transform(_terms(self.words, self.pieces, texts)))
        if self.embeddings:
            parts.append(embed(self.embeddings, texts))
        return np.hstack(parts)


def learn(items: Sequence[Question], *, embeddings: str = "") -> Features:
    """Learn the features from training items."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import StandardScaler

    columns = DictVectorizer(sparse=False)
    scale = StandardScaler().fit(columns.fit_transform([figures(*item) for item in items]))
    words = pieces = topics = None
    texts = [text for text, _ in items]
    if any(re.search(r"\w\w", text) for text in texts):
        words = TfidfVectorizer(ngram_range=(1, 2), max_features=WORDS, sublinear_tf=True).fit(texts)
        pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), max_features=PIECES, sublinear_tf=True).fit(
            texts
        )
        terms = _terms(words, pieces, texts)
        topics = TruncatedSVD(max(1, min(TOPICS, *(size - 1 for size in terms.shape))), random_state=0).fit(terms)
    return Features(words, pieces, topics, columns, scale, embeddings)


def _terms(words: Any, pieces: Any, texts: Sequence[str]) -> Any:
    from scipy.sparse import hstack

    return hstack([words.transform(texts), pieces.transform(texts)], format="csr")


def _kind(name: str, value: object) -> Kind:
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "word"
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        return "names"
    raise InputError(f"the feature {name!r} must be a number, a word or a list of names, not {value!r}")
