"""The groups of the command line: ``camvib data`` and ``camvib evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from camvib.cli_common import ChannelOption, QuietOption, UnitOption, clear_errors, write_json

data_app = typer.Typer(help="Public data sets: list, fetch, verify.", no_args_is_help=True)
evaluate_app = typer.Typer(help="Honest figures: on real recordings, and of maps against simulated truth.")


@data_app.command("list")
def data_list() -> None:
    """List the public data sets that the catalog knows."""
    from camvib.catalog import list_sets

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
        from camvib.catalog import fetch
        from camvib.settings import home

        folder = fetch(name, out or home() / "data" / name, mirror)
        typer.echo(f"{name} in {folder}")


@data_app.command("verify")
def data_verify(name: str, folder: Path) -> None:
    """Check a folder's files against the catalog's sha256."""
    with clear_errors():
        from camvib.catalog import verify

        problems = verify(name, folder)
        for problem in problems:
            typer.secho(problem, fg="red", err=True)
        typer.echo(f"{name}: {len(problems)} problems")
        if problems:
            raise typer.Exit(2)


@evaluate_app.command("real")
def evaluate_real_set(
    name: Annotated[str, typer.Argument(help="A set of the catalog, or a name for a folder with labels.csv.")],
    folder: Annotated[Path, typer.Option("--data", help="Folder of the recordings.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    split: Annotated[str | None, typer.Option(help="A split of the catalog, or group:COLUMN.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Networks to train; figures are means over them.")] = 5,
    leaky: Annotated[bool, typer.Option(help="Allow a split that leaks; the result is stamped.")] = False,
    unit: UnitOption = None,
    channel: ChannelOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train on one side of an honest split of measured recordings, and measure on the other."""
    with clear_errors(out):
        from camvib.evaluation.real import evaluate_real

        found = evaluate_real(
            name, folder, split=split, seeds=seeds, leaky=leaky, unit=unit, channel=channel, progress=not quiet
        )
        write_json(found, out)
        typer.echo(json.dumps({key: found[key] for key in ("name", "split", "leaky", "accuracy", "macro_f1")}))


@evaluate_app.command("maps")
def evaluate_map_truth(
    model: Annotated[str, typer.Option("--model", "-m", help="Run folder, MLflow URI, or folder of map networks.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of specimens that nobody trained on.")] = 9001,
    specimens: Annotated[int, typer.Option(min=2, help="Ten recordings each.")] = 40,
    figures: Annotated[Path | None, typer.Option(help="Folder for the picture grid.")] = None,
    measured: Annotated[Path | None, typer.Option(help="Folder with dropbear8 and cantilever_shaker_ds4.")] = None,
) -> None:
    """Score a model's maps against physical truth, beside every trivial map."""
    with clear_errors(out):
        from camvib.evaluation.maps import table
        from camvib.jobs import evaluate_model_maps

        found = evaluate_model_maps(model, seed=seed, specimens=specimens, out=out, figures=figures, measured=measured)
        typer.echo(table(found))
