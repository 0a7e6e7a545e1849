"""camvib plant, feedback, review: what people tell the plant, and what they say of its findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camvib.cli.options import JsonOption, PlantOption, StoreOption, clear_errors, write_json

if TYPE_CHECKING:
    from camvib.review.answers import Conflict, Taken

plant_app = typer.Typer(name="plant", help="The plant file: names, areas, actions, deadlines.", no_args_is_help=True)
feedback_app = typer.Typer(
    name="feedback", help="Answers of engineers: take them in, learn from them.", no_args_is_help=True
)
ModelOption = Annotated[str, typer.Option("--model", "-m", help="Model by path or URI, for the proof and the figures.")]


@plant_app.command("init")
def plant_init(
    out: Annotated[Path, typer.Option(help="Plant file to write.")] = Path("plant.toml"),
    store: StoreOption = None,
    model: ModelOption = "",
) -> None:
    """Write a draft of a plant file with every asset in the store."""
    with clear_errors():
        from camvib.jobs import draft_plant

        written, assets = draft_plant(out, store, model)
        typer.echo(
            f"{assets} assets in {written}: fill in names, areas and actions, then: camvib report --plant {written}"
        )


@plant_app.command("check")
def plant_check(file: Annotated[Path, typer.Argument(help="Plant file.")] = Path("plant.toml")) -> None:
    """Read a plant file and say what is in it."""
    with clear_errors():
        from camvib.recordings.plant import Plant

        plant = Plant.load(file)
        areas = {machine.area for machine in plant.machines.values() if machine.area}
        typer.echo(f"{plant.name}: {len(plant.machines)} machines in {len(areas)} areas, {len(plant.actions)} actions")


@feedback_app.command("import")
def feedback_import(
    files: Annotated[list[Path], typer.Argument(help="Files that report pages saved.")],
    store: StoreOption = None,
    json_file: JsonOption = None,
) -> None:
    """Take in answers from report pages; handed in twice, they count once."""
    with clear_errors(json_file):
        from camvib.jobs import open_store
        from camvib.review.answers import import_file

        ledger = open_store(store)
        taken = {file: import_file(ledger, file) for file in files}
        counts = {
            str(file): {"new": t.new, "known": t.known, "refused": len(t.refused), "conflicts": len(t.conflicts)}
            for file, t in taken.items()
        }
        write_json(counts, json_file)
        for file, one in taken.items():
            typer.echo(
                f"{file}: {one.new} new, {one.known} known, {len(one.refused)} refused", err=str(json_file) == "-"
            )
            _print_problems(one)
        if any(one.refused for one in taken.values()):
            raise typer.Exit(2)


def _print_problems(taken: Taken) -> None:
    for key, why in taken.refused:
        typer.secho(f"  refused {key}: {why}", fg="red", err=True)
    _print_conflicts(taken.conflicts)


def _print_conflicts(conflicts: tuple[Conflict, ...]) -> None:
    from camvib.report.words import answer, printable

    for conflict in conflicts:
        first, second = printable(answer(conflict.first)), printable(answer(conflict.second))
        typer.secho(
            f"  conflict, case {conflict.case_id} of {printable(conflict.asset)}: {first} / {second}",
            fg="yellow",
            err=True,
        )


@feedback_app.command("labels")
def feedback_labels(
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    store: StoreOption = None,
    healthy: Annotated[str, typer.Option(help="Label of the healthy condition.")] = "healthy",
    json_file: JsonOption = None,
) -> None:
    """Write a labelled folder of what was answered, for the next training."""
    with clear_errors(json_file):
        from camvib.jobs import open_store
        from camvib.review.labels import write_labels

        done = write_labels(open_store(store), out, healthy=healthy)
        write_json({"recordings": done.rows, "labels": done.labels, "missing": len(done.missing)}, json_file)
        counts = ", ".join(f"{n} {label}" for label, n in sorted(done.labels.items())) or "no answers yet"
        typer.echo(f"{done.rows} recordings in {out}: {counts}", err=str(json_file) == "-")
        for recording, why in done.missing:
            typer.secho(f"  left out {recording}: {why}", fg="yellow", err=True)
        _print_conflicts(done.conflicts)


def review(
    store: StoreOption = None,
    plant: PlantOption = None,
    model: ModelOption = "",
    host: Annotated[
        str, typer.Option(help="Address to serve on; others than this machine's need --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8765,
    token: Annotated[Path | None, typer.Option(help="File with the secret that browsers must bring.")] = None,
) -> None:
    """Serve the report with buttons: confirm, correct, comment, snooze; until Ctrl-C."""
    with clear_errors():
        from camvib.errors import SettingsError
        from camvib.jobs import serve_review

        try:
            secret = token.read_text("utf-8").strip() if token else ""
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{token}: {error}", "Give a file that holds one long random text") from error
        query = f"?token={secret}" if secret else ""
        typer.echo(f"http://{host}:{port}/{query}")
        serve_review(store, plant, model, host=host, port=port, token=secret)
