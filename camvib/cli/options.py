"""What the commands share: options, errors in two lines, JSON for programs."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from camvib.errors import CamvibError

DEFAULT_MODEL = "models:/camvib@champion"

JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result here; - is stdout.")]
ChannelOption = Annotated[str | None, typer.Option(help="Channel to use where files have several.")]
UnitOption = Annotated[str | None, typer.Option(help="Unit of the samples, for files that do not say; or 'arbitrary'.")]
RateOption = Annotated[float | None, typer.Option("--sampling-rate", help="Sampling rate in Hz, for files without.")]


def _hush(quiet: bool) -> bool:
    """Silence what libraries say of themselves; camvib's own warnings are printed by its commands."""
    if quiet:
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
    return quiet


QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress bars, no warnings of libraries.", callback=_hush)
]
ConfigOption = Annotated[Path | None, typer.Option("--settings", help="TOML file, see docs/reference/settings.md.")]
StoreOption = Annotated[
    str | None,
    typer.Option(
        envvar="CAMVIB_STORE", help="SQLite file, or postgresql://user@host/database; default store.db in CAMVIB_HOME."
    ),
]
PlantOption = Annotated[
    Path | None, typer.Option("--plant", help="Plant file; default plant.toml in CAMVIB_HOME, if there is one.")
]
ResampleOption = Annotated[bool, typer.Option(help="Resample to the model's rate instead of refusing.")]
ModelOption = Annotated[str, typer.Option("--model", "-m", help="Run folder, model folder or MLflow model URI.")]


@contextmanager
def clear_errors(json_file: Path | None = None) -> Iterator[None]:
    """Say what camvib refuses in two lines, and exit with 2."""
    try:
        yield
    except CamvibError as error:
        typer.secho(f"camvib: {error.message}", fg="red", err=True)
        if error.remedy:
            typer.secho(f"  → {error.remedy}", err=True)
        if json_file:
            write_json({"error": error.message, "remedy": error.remedy}, json_file)
        raise typer.Exit(2) from error


def write_json(result: Any, json_file: Path | None) -> None:
    """Write a result as JSON to a file, to standard output, or nowhere."""
    if json_file is None:
        return
    text = json.dumps(result, indent=2) + "\n"
    if str(json_file) == "-":
        sys.stdout.write(text)
    else:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(text)
