"""The group ``camvib evaluate``: figures on measured recordings, and of maps against truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from camvib.cli.options import ChannelOption, QuietOption, UnitOption, clear_errors, write_json

evaluate_app = typer.Typer(help="Honest figures: on real recordings, and of maps against simulated truth.")


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
        from camvib.evaluation.real.benchmark import evaluate_real

        found = evaluate_real(
            name, folder, split=split, seeds=seeds, leaky=leaky, unit=unit, channel=channel, progress=not quiet
        )
        write_json(found, out)
        typer.echo(json.dumps({key: found[key] for key in ("name", "split", "leaky", "accuracy", "macro_f1")}))


@evaluate_app.command("maps")
def evaluate_map_truth(
    model: Annotated[str, typer.Option("--model", "-m", help="Run folder, model folder or MLflow URI, any network.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of specimens that nobody trained on.")] = 9001,
    specimens: Annotated[int, typer.Option(min=2, help="Ten recordings each.")] = 40,
    plain: Annotated[str | None, typer.Option(help="Run of a plain network, for its column and its peers.")] = None,
    no_twins: Annotated[str | None, typer.Option(help="Run trained without simulated twins, for its rows.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Folder for the picture grid.")] = None,
    measured: Annotated[Path | None, typer.Option(help="Folder with dropbear8 and cantilever_shaker_ds4.")] = None,
) -> None:
    """Score a model's maps against physical truth, beside every trivial map."""
    with clear_errors(out):
        from camvib.evaluation.maps.benchmark import evaluate_maps, table
        from camvib.registry.versions import resolve

        found = evaluate_maps(
            resolve(model),
            seed=seed,
            specimens=specimens,
            plain=resolve(plain) if plain else None,
            no_twins=resolve(no_twins) if no_twins else None,
            out=out,
            figures=figures,
            measured=measured,
            progress=lambda text: typer.echo(text, err=True),
        )
        typer.echo(table(found))
