"""The group ``camvib data``: public data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camvib.cli.options import clear_errors

data_app = typer.Typer(help="Public data sets: list, fetch, verify.", no_args_is_help=True)


@data_app.command("list")
def data_list() -> None:
    """List the public data sets that the catalog knows."""
    from camvib.recordings.catalog import list_sets

    for known in list_sets():
        typer.echo(f"{known.name:22} {known.title}")


@data_app.command("fetch")
def data_fetch(
    name: str,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default data/NAME in CAMVIB_HOME.")] = None,
    mirror: Annotated[Path | None, typer.Option("--from", help="Copy from this folder instead.")] = None,
) -> None:
    """Fetch a data set and check every file's sha256."""
    with clear_errors():
        from camvib.recordings.fetching import fetch
        from camvib.settings import home

        folder = fetch(name, out or home() / "data" / name, mirror)
        typer.echo(f"{name} in {folder}")


@data_app.command("verify")
def data_verify(name: str, folder: Path) -> None:
    """Check a folder's files against the catalog's sha256."""
    with clear_errors():
        from camvib.recordings.fetching import verify

        problems = verify(name, folder)
        for problem in problems:
            typer.secho(problem, fg="red", err=True)
        typer.echo(f"{name}: {len(problems)} problems")
        if problems:
            raise typer.Exit(2)
