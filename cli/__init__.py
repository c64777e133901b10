"""The `laconic` command. One file a command; `main` is where it starts."""

from __future__ import annotations

import typer

from .audit import audit
from .batch import batch
from .calibrate import calibrate
from .compare import compare
from .demo import demo
from .doctor import doctor
from .errors import guarded
from .graph import graph
from .ledger import ledger
from .models import app as models
from .protocol import app as protocol
from .router import app as router
from .run import run
from .runs import runs
from .schema import schema
from .serve_models import serve_models
from .token_router import app as token_router

__all__ = ["app", "main"]

app = typer.Typer(
    name="laconic",
    help="Graphs of language-model steps for the fewest tokens that keep the answer right, every token in a ledger.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _laconic() -> None:
    """Without a callback a lone command would swallow its own name."""


for command in (run, batch, runs, ledger, audit, compare, calibrate, demo, graph, schema, doctor, serve_models):
    app.command()(guarded(command))
app.add_typer(models, name="models")
app.add_typer(protocol, name="protocol")
app.add_typer(router, name="router")
app.add_typer(token_router, name="token-router")


def main() -> None:
    """Run the command line; exit status 0 ok, 1 failed, 2 wrong input, 3 budget reached, 130 stopped with Ctrl-C."""
    app()
