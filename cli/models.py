"""`laconic models`: the model files that are known by name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..backends import catalogue
from ..backends.export import export
from ..errors import InputError, ModelFileError
from .download import pull_shown
from .errors import guarded, say
from .tables import show_table

app = typer.Typer(
    help="List, get and find the model files that are known by name.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of the catalogue.")]


@app.command("list")
@guarded
def list_models(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the models that can be had by name, and which are on this machine."""
    found = [(entry, catalogue.find(entry.name)) for entry in catalogue.CATALOGUE.values()]
    if as_json:
        data = [
            {
                "name": entry.name,
                "file": entry.file,
                "bytes": entry.size,
                "sha256": entry.sha256,
                "licence": entry.licence,
                "parameters_billion": entry.parameters,
                "path": None if path is None else str(path),
            }
            for entry, path in found
        ]
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return
    rows = [
        [entry.name, entry.licence, str(path) if path else "not here", f"{entry.size / 1e6:,.0f} MB"]
        for entry, path in found
    ]
    show_table(("name", "licence", "where", "size"), rows, left=3)


@app.command("pull")
@guarded
def pull_model(
    name: Name,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Where to put it.")] = None,
    given: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="Copy this file; fetch nothing.")] = None,
) -> None:
    """Get a model's file and check its SHA-256; one that is there already is only checked."""
    _known(name)
    sys.stdout.write(f"{pull_shown(name, to=to, given=given)}\n")


@app.command("path")
@guarded
def model_path(name: Name) -> None:
    """Print where a model's file is; fails if it is not on this machine."""
    _known(name)
    sys.stdout.write(f"{catalogue.path(name)}\n")


@app.command("export")
@guarded
def export_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of the catalogue, or the path of a GGUF.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to make.")],
) -> None:
    """Turn a GGUF into a folder with safetensors, tokenizer and chat template, which vLLM can load."""
    say(f"exporting {name}; takes a minute or so ...")
    sys.stdout.write(f"{export(name, to)}\n")


def _known(name: str) -> None:
    try:
        catalogue.entry(name)
    except ModelFileError as error:
        raise InputError(str(error)) from error
