"""Router files: a trained router, kept so that it can be loaded without trusting whoever wrote the file.

A file is that of skops (a zip archive of JSON and arrays, no pickle) with one more entry, `laconic.json`, the router's
`About`. The head is read and judged first; then the types of the objects are looked at before any is built. Types that
skops does not vouch for are refused, except scikit-learn's own that our classifiers consist of.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from ..errors import InputError
from . import features
from .classifiers import Classifier, must_be_installed
from .features import Features
from .trained import FORMAT, About, TrainedRouter

HEAD = "laconic.json"
OURS = frozenset({"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})
"""What boosting consists of beside the types that skops vouches for."""


class _Head(msgspec.Struct):
    """What every version of a head has."""

    format: int
    feature_set: int
    scikit_learn: str


def save_router(router: TrainedRouter, path: str | Path) -> None:
    """Write a router file. Raises InputError if it cannot be written."""
    import skops.io

    classifier = router.classifier
    parts: dict[str, Any] = {"model": classifier.model, "only": classifier.only}
    if classifier.features is not None:
        parts |= {field.name: getattr(classifier.features, field.name) for field in fields(Features)}
    content = io.BytesIO(skops.io.dumps(parts, compression=zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(HEAD, msgspec.json.format(msgspec.json.encode(router.about)))
    try:
        Path(path).write_bytes(content.getvalue())
    except OSError as error:
        raise InputError(f"the router cannot be written to {str(path)!r}: {error.strerror}") from error


def load_router(path: str | Path) -> TrainedRouter:
    """Read a router file.

    Raises InputError for a file that is not there, is no router file, was made by another version of Laconic's format,
    of its features or of scikit-learn, or holds anything but what a router consists of.
    """
    must_be_installed()
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no router file {str(path)!r}; `laconic router train` makes one") from None
    except OSError as error:
        raise InputError(f"the router file {str(path)!r} cannot be read: {error.strerror}") from error
    about = _head(content, path)
    return TrainedRouter(about, _classifier(_parts(content, path), about, path))


def _head(content: bytes, path: Path) -> About:
    from sklearn import __version__ as scikit_learn

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            head = archive.read(HEAD)
        versions = msgspec.json.decode(head, type=_Head)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        KeyError,
        msgspec.MsgspecError,
    ):
        raise InputError(f"{str(path)!r} is no router file; `laconic router train` makes one") from None
    for what, its, ours in (
        ("format", versions.format, FORMAT),
        ("feature set", versions.feature_set, features.VERSION),
        ("scikit-learn", _minor(versions.scikit_learn), _minor(scikit_learn)),
    ):
        if its != ours:
            raise InputError(
                f"the router file {str(path)!r} was made with {what} {its}, and this is {what} {ours}: train it again"
            )
    try:
        return msgspec.json.decode(head, type=About)
    except msgspec.MsgspecError as error:
        raise InputError(f"the head of the router file {str(path)!r} is damaged: {error}") from None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _parts(content: bytes, path: Path) -> dict[str, Any]:
    import skops.io

    try:
        strange = sorted(set(skops.io.get_untrusted_types(data=content)) - OURS)
        if not strange:
            parts = skops.io.loads(content, trusted=sorted(OURS))
            if isinstance(parts, dict):
                return parts
    except Exception as error:  # skops raises whatever a damaged file makes it stumble over
        raise InputError(f"the router file {str(path)!r} is damaged: {type(error).__name__}: {error}") from error
    what = f"it holds {strange[0]}" if strange else "it holds no router"
    raise InputError(f"the router file {str(path)!r} is refused: {what}, which no router consists of")


def _classifier(parts: dict[str, Any], about: About, path: Path) -> Classifier:
    try:
        model, only = parts["model"], parts["only"]
        learned = None if model is None else Features(**{field.name: parts[field.name] for field in fields(Features)})
    except KeyError as error:
        raise InputError(f"the router file {str(path)!r} is damaged: it has no {error}") from None
    return Classifier(learned, model, len(about.tiers), only)
