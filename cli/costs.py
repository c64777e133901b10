"""What a run cost in seconds of a calibrated machine and in arithmetic: `laconic ledger --runtimes`, `--activated`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..accounting.activation import Activated, Work, activated_by
from ..accounting.calibration import Calibration, load_calibration
from ..accounting.ledger import Key, Ledger
from ..accounting.runs import RunRecord
from ..accounting.runtimes import IdealRuntime, ideal_runtime
from ..backends import catalogue
from ..errors import InputError
from ..orchestrator.yaml_source import read_yaml
from .options import pairs
from .tables import show_table

_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def show_runtimes(book: Ledger, record: RunRecord, by: Key, files: Sequence[str], *, as_json: bool) -> None:
    """Idealized seconds of the groups of a bill. Raises InputError."""
    calibrations = _calibrations(files)
    groups: dict[str, IdealRuntime] = {
        name: ideal_runtime(book.select(**{by: name}).calls, calibrations) for name in book.by(by)
    }
    total = ideal_runtime(book.calls, calibrations)
    if as_json:
        found = {
            "run": record.run,
            "by": by,
            "calibrations": calibrations,
            "groups": groups,
            "total": total,
        }
        _write(found)
        return
    head = (by, "calls", "model seconds", "critical path", "measured", "avoided")
    rows = [[name or "(none)", *_runtime_cells(of)] for name, of in groups.items()]
    show_table(head, rows, foot=("total", *_runtime_cells(total)))
    cache_unsaid = total.cache_unsaid + total.avoided_cache_unsaid
    tokens_unsaid = total.tokens_unsaid + total.avoided_tokens_unsaid
    if cache_unsaid:
        _tell(f"≤: of {cache_unsaid:,} calls it is not known what came from a cache; nothing, it is assumed")
    if tokens_unsaid:
        _tell(f"≥: of {tokens_unsaid:,} calls the tokens are not known; none, it is assumed")


def _runtime_cells(of: IdealRuntime) -> list[str]:
    return [
        f"{of.calls:,}",
        of.show(of.seconds),
        of.show(of.critical_path),
        f"{of.measured:,.3f}",
        of.show_avoided(),
    ]


def show_activated(
    book: Ledger, record: RunRecord, given: Sequence[str], files: Sequence[str], router: str, *, as_json: bool
) -> None:
    """Activated parameters and FLOPs of a run's models. Raises InputError."""
    known = _known_parameters(record, book, _calibrations(files))
    said = {role: _number(text, f"--parameters {role}") for role, text in pairs(given, "--parameters").items()}
    routing = _number(router, "--router-parameters") if router else 0.0
    found = activated_by(book.calls, known | said, router_parameters=routing)
    if routing and not found.drafted:
        raise InputError(
            f"--router-parameters: run {record.run} has no call with the purpose `draft`, so that there is no token "
            "for a router to look at"
        )
    if as_json:
        figures = {name: getattr(found, name) for name in ("written", "as_published", "everything", "flops")}
        _write({"run": record.run, "models": found.models, **figures, "lower_bound": found.lower_bound})
        return
    head = ("role", "model", "parameters", "calls", "read", "generated", "replaced", "written", "passes", "FLOPs")
    rows = [_work_cells(work) for work in found.models]
    if routing:
        rows.append(
            ["(router)", "", shown(routing), *[""] * 5, f"{found.drafted:,}", shown(2 * routing * found.drafted)]
        )
    show_table(head, rows, left=2, foot=("total", *[""] * 6, f"{found.written:,}", "", _bound(found, found.flops)))
    if found.as_published is not None and found.everything is not None:
        _tell(f"activated parameters a written token, as published: {shown(found.as_published)}")
        _tell(f"activated parameters a written token, everything: {_bound(found, found.everything)}")
    unsaid = sum(work.unsaid for work in found.models)
    if unsaid:
        _tell(f"≥: {unsaid:,} calls are left out, whose server did not say how much was computed")


def _work_cells(work: Work) -> list[str]:
    tokens = (work.calls, work.read, work.generated, work.replaced, work.written, work.passes)
    return [work.role, work.served, shown(work.parameters), *(f"{number:,}" for number in tokens), shown(work.flops)]


def _bound(found: Activated, figure: float) -> str:
    return f"≥ {shown(figure)}" if found.lower_bound else shown(figure)


def shown(number: float) -> str:
    """`5.60B` for 5.6e9; FLOPs and parameters are too long to be written out."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:,.2f}{unit}"
    return f"{number:,.0f}"


def _calibrations(files: Sequence[str]) -> dict[str, Calibration]:
    """By role where one is named (`large=FILE`), else by the name of the model that was measured."""
    found: dict[str, Calibration] = {}
    for text in files:
        role, equals, file = text.partition("=")
        calibration = load_calibration(Path(file if equals else text))
        name = role if equals else calibration.model
        if name in found:
            raise InputError(f"--runtimes {text}: there is another calibration of {name!r} already")
        found[name] = calibration
    return found


def _known_parameters(record: RunRecord, book: Ledger, measured: Mapping[str, Calibration]) -> dict[str, float]:
    """What the catalogue and the calibrations say of the models that answered, and the flow of its roles."""
    known = catalogue.CATALOGUE
    found = {name: known[name].parameters * 1e9 for name in book.by("served") if name in known}
    found |= {name: float(of.parameters) for name, of in measured.items() if of.parameters is not None}
    written = read_yaml(record.text, record.run).data.get("models", {}) if record.text else {}
    specs: Mapping[str, Any] = {**written, **record.models}
    for role, spec in specs.items():
        if isinstance(spec, Mapping) and spec.get("parameters"):
            found[role] = spec["parameters"] * 1e9
    return found


def _number(text: str, option: str) -> float:
    """`1.5B`, `56M` or `1500000000` as a number. Raises InputError."""
    unit = _UNITS.get(text[-1:].lower())
    try:
        number = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise InputError(f"{option}: the number of parameters is one such as 1.5B, 56M or 1500000000, not {text!r}")
    return number


def _write(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(msgspec.to_builtins(found), ensure_ascii=False, indent=2) + "\n")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
