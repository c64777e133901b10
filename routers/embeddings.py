"""Sentence embeddings, where the package `sentence-transformers` is installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ModelFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def embed(model: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """A row of figures for each text, of length 1. `model` is a name or folder that sentence-transformers knows.

    Raises ModelFileError if the package is not installed or the model cannot be had.
    """
    import numpy as np

    vectors = _encoder(model).encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    return np.asarray(vectors, dtype=np.float64)


@cache
def _encoder(model: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ModelFileError(
            f"the embeddings of {model!r} need the package sentence-transformers, which is not installed: "
            "pip install 'laconic[embeddings]', or train without --embeddings"
        ) from None
    try:
        return SentenceTransformer(model)
    except (OSError, ValueError) as error:
        raise ModelFileError(f"sentence-transformers cannot load the model {model!r}: {error}") from error
