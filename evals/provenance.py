"""Provenance: what somebody needs to know to repeat a measurement. Nothing in it is typed; all of it is looked up."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from ..backends import ServerFacts
from ..orchestrator import ModelSpec, Runtime
from ..version import __version__
from .contestant import Contestant

PACKAGES = ("xllamacpp", "torch", "transformers", "bm25s", "httpx", "tokenizers", "pydantic", "jinja2")
"""Whose versions are reported, where they are installed."""


class ModelUsed(msgspec.Struct, frozen=True, kw_only=True):
    """One role of one flow: what was asked, and which server answered."""

    flow: str
    role: str
    model: str
    backend: str
    server: str = ""
    """Kind and version of the server, as it says itself."""
    file: str = ""
    sha256: str = ""
    """Of the weights, computed from the file; empty for a server elsewhere."""

    def cells(self) -> list[str]:
        """The row of a table."""
        return [self.flow, self.role, self.model, f"{self.backend} {self.server}".strip(), self.file, self.sha256]


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """When, where, with what."""

    command: tuple[str, ...]
    """As it was called; of absolute paths only the last part."""
    date: str
    data: str
    data_sha256: str
    machine: str
    cores: int
    memory_gib: float
    python: str
    laconic: str
    packages: dict[str, str]
    models: tuple[ModelUsed, ...]

    def facts(self) -> list[tuple[str, str]]:
        """Lines for a report."""
        return [
            ("data", f"{self.data}, SHA-256 {self.data_sha256}"),
            ("machine", f"{self.machine}, {self.cores} cores, {self.memory_gib:.0f} GiB of memory"),
            ("software", f"Laconic {self.laconic}, Python {self.python}"),
            ("packages", ", ".join(f"{name} {number}" for name, number in self.packages.items())),
        ]


async def look_up(
    entrants: Sequence[Contestant], runtime: Runtime, *, command: Sequence[str], data: str | Path
) -> Provenance:
    """Collect it while the models are open. Hashing a model's file takes a second or two per gigabyte."""
    hashes: dict[Path, str] = {}
    used = []
    for contestant in entrants:
        for role, model in (await runtime.models(contestant.flow)).items():
            used.append(_model(contestant, role, contestant.flow.models.get(role), await model.backend.facts(), hashes))
    return Provenance(
        command=tuple(shown(part) for part in command),
        date=time.strftime("%Y-%m-%d %H:%M %Z"),
        data=Path(data).name,
        data_sha256=sha256_of(Path(data)),
        machine=processor(),
        cores=os.cpu_count() or 0,
        memory_gib=_memory(),
        python=platform.python_version(),
        laconic=__version__,
        packages=_packages(),
        models=tuple(used),
    )


def _model(
    contestant: Contestant, role: str, spec: ModelSpec | None, facts: ServerFacts, hashes: dict[Path, str]
) -> ModelUsed:
    if spec is None:
        return ModelUsed(flow=contestant.name, role=role, model="", backend="given", server=facts.server)
    file = _file(spec, facts)
    if file is not None and file not in hashes:
        hashes[file] = sha256_of(file)
    server = " ".join(filter(None, (facts.server if facts.server != spec.backend else "", facts.version)))
    return ModelUsed(
        flow=contestant.name,
        role=role,
        model=_name(spec, facts),
        backend=spec.backend,
        server=", ".join(filter(None, (server, facts.computes))),
        file=file.name if file is not None else "",
        sha256=hashes[file] if file is not None else "",
    )


def _name(spec: ModelSpec, facts: ServerFacts) -> str:
    """What a model is called, without the folders of its machine; one with layers left out has a name of its own."""
    name = next(iter(facts.models), spec.model) if spec.backend == "transformers" else spec.model
    return Path(name).name if spec.backend == "local" or os.path.isabs(os.path.expandvars(name)) else name


def _file(spec: ModelSpec, facts: ServerFacts) -> Path | None:
    """Where the weights are, if it is one file on this machine."""
    if spec.backend == "local":
        from ..backends.catalogue import find

        return find(spec.model)
    weights = Path(facts.root) / "model.safetensors" if spec.backend == "transformers" and facts.root else None
    return weights if weights is not None and weights.is_file() else None


def shown(part: str) -> str:
    """A part of a command, of absolute paths (also in `KEY=PATH`) only the last part."""
    return ";".join(map(_shown, part.split(";")))


def _shown(assignment: str) -> str:
    key, equals, value = assignment.rpartition("=")
    return f"{key}{equals}{Path(value).name}" if os.path.isabs(value.strip()) else assignment


def sha256_of(path: Path) -> str:
    """Of a file, read as a stream."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """What computes on this machine."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({platform.system()} {platform.machine()})"
    except OSError:
        pass
    return f"{platform.processor() or platform.machine()} ({platform.system()})"


def _memory() -> float:
    """GiB of main memory; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return 0.0
