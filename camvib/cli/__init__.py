"""The command line: argument parsing only. Heavy imports wait until a command runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camvib import __version__
from camvib.cli.batch import backfill, deploy, diagnose, schedule
from camvib.cli.data import data_app
from camvib.cli.evaluate import evaluate_app
from camvib.cli.ledger import case_app, store_app
from camvib.cli.options import (
    DEFAULT_MODEL,
    ChannelOption,
    ConfigOption,
    JsonOption,
    ModelOption,
    PlantOption,
    QuietOption,
    RateOption,
    ResampleOption,
    StoreOption,
    UnitOption,
    clear_errors,
    write_json,
)
from camvib.cli.review import feedback_app, plant_app, review

if TYPE_CHECKING:
    from camvib.monitoring.baselines import Learned

app = typer.Typer(
    name="camvib",
    help="Vibration diagnosis that shows its evidence: where, in seconds and hertz, each verdict comes from.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(plant_app, name="plant")
app.add_typer(feedback_app, name="feedback")
app.command()(review)
app.add_typer(store_app, name="store")
app.add_typer(case_app, name="case")
for command in (diagnose, backfill, schedule, deploy):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"camvib {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("camvib-demo"),
    machines: Annotated[int, typer.Option(min=6, help="Simulated beams to train on, 15 recordings each.")] = 40,
    seed: int = 0,
    settings: ConfigOption = None,
    json_file: JsonOption = None,
) -> None:
    """The whole path on a simulated plant: train, register, learn baselines, diagnose new machines, report."""
    with clear_errors(json_file):
        from camvib.cli.demo import run_demo

        summary = run_demo(out.resolve(), machines, seed, settings)
        write_json(summary, json_file)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Labelled folder to write.")],
    recordings: Annotated[int, typer.Option(min=1)] = 600,
    seed: int = 0,
    per_specimen: Annotated[int, typer.Option(min=1, help="Recordings of each specimen, a fifth healthy.")] = 10,
    twins: Annotated[bool, typer.Option(help="Also write healthy twins and evidence masks.")] = True,
    quiet: QuietOption = False,
) -> None:
    """Simulate recordings of cantilevers, healthy and faulty, as a labelled folder."""
    with clear_errors():
        from camvib.simulation.fleet import write_fleet

        write_fleet(out, recordings, seed, recordings_per_specimen=per_specimen, twins=twins, progress=not quiet)
        typer.echo(f"{recordings} recordings in {out}")


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Folder with labels.csv and the recordings it names.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")] = Path("run"),
    settings: ConfigOption = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    resample: Annotated[float | None, typer.Option(help="Bring all recordings to this rate in Hz.")] = None,
    group: Annotated[str | None, typer.Option("--group-column", help="Column to split by instead of group.")] = None,
    healthy: Annotated[str | None, typer.Option(help="Label of the healthy condition.")] = None,
    head: Annotated[str | None, typer.Option(help="naive, conv1x1, softmax, or sigmoid for joint faults.")] = None,
    network: Annotated[
        str | None, typer.Option(help="auto (compare what fits), or keep to one: change_cnn, gap_cnn, row_linear, …")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Time for comparing networks.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    window_s: Annotated[float | None, typer.Option("--window", help="Window length in s.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    rig: Annotated[str | None, typer.Option(help="Rig file that names regions; 'cantilever' is built in.")] = None,
    extra_columns: Annotated[bool, typer.Option(help="Accept columns of your own in labels.csv.")] = False,
    tracking: Annotated[bool, typer.Option(help="Log to MLflow and register the model.")] = True,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Train on a labelled folder; the accuracy printed is that of groups it never saw."""
    with clear_errors(json_file):
        from camvib.jobs import train_tracked
        from camvib.records import Declared
        from camvib.settings import Settings

        chosen = Settings.load(
            settings,
            training={"epochs": epochs, "seed": seed, "minutes": minutes},
            model={"head": head},
            twin={"epochs": epochs},
            image={"window_s": window_s},
            diagnosis={"healthy": healthy},
        )
        summary = train_tracked(
            folder,
            out,
            chosen,
            track=tracking,
            declared=Declared(channel, unit, sampling_rate, resample, group, extra_columns),
            network=None if network == "auto" else network,
            rig=rig,
            progress=not quiet,
        )
        write_json(summary, json_file)
        _print_training(summary, out, to_stderr=str(json_file) == "-")


def _print_training(summary: dict[str, Any], out: Path, *, to_stderr: bool) -> None:
    compared = len(summary["compared"])
    choice = f"the best of {compared} compared" if compared > 1 else "not compared with others"
    if summary["voting"] > 1:
        choice = f"{summary['voting']} of {compared} compared vote, which chance cannot tell apart"
    best = max(summary["trivial"], key=summary["trivial"].__getitem__, default=None)
    beside = f"; without a network {best.replace('_', ' ')} has {summary['trivial'][best]:.3f}" if best else ""
    groups = f" of {len(summary['test_groups'])} unseen groups" if summary["test_groups"] else ""
    typer.echo(
        f"{summary['network']} on {summary['image']} ({choice})\n"
        f"accuracy {summary['accuracy']:.3f}, macro-F1 {summary['macro_f1']:.3f} on "
        f"{summary['test_recordings']} recordings{groups} ({summary['measured_on']}){beside}\n"
        f"model {summary['model']}",
        err=to_stderr,
    )
    if not summary["learned"]:
        typer.secho(
            "camvib: no better than a classifier without a network: the model is kept, and not released as champion\n"
            "  → Add machines or sessions of each label, check the channel, or look at the signal yourself",
            fg="yellow",
            err=True,
        )
    if summary["left_out"]:
        typer.secho(f"{summary['left_out']} recordings left out; why: {out / 'data.json'}", fg="yellow", err=True)


@app.command()
def baseline(
    paths: Annotated[list[Path], typer.Argument(help="Healthy recordings, or labelled folders that hold some.")],
    model: ModelOption = DEFAULT_MODEL,
    asset: Annotated[str, typer.Option(help="Only this asset; recordings that name none are its own.")] = "",
    store: StoreOption = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    resample: ResampleOption = False,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Learn what assets look like when healthy, for models that compare with it; run again, it is renewed."""
    with clear_errors(json_file):
        from dataclasses import asdict

        from camvib.jobs import baseline_paths
        from camvib.records import Declared

        learned = baseline_paths(
            paths,
            model,
            store,
            declared=Declared(channel, unit, sampling_rate),
            asset=asset,
            allow_resample=resample,
            progress=not quiet,
        )
        write_json([asdict(one) for one in learned], json_file)
        _print_learned(learned, to_stderr=str(json_file) == "-")
        if any(one.error for one in learned):
            raise typer.Exit(2)


def _print_learned(learned: list[Learned], *, to_stderr: bool) -> None:
    for one in learned:
        if one.error:
            typer.secho(f"camvib: {one.error}", fg="red", err=True)
            typer.secho(f"  → {one.remedy}", err=True)
            continue
        more = f", {len(one.left_out)} left out: {one.left_out[0]['reason']}" if one.left_out else ""
        typer.echo(f"{one.asset or '(no name)':20} {len(one.recording_ids)} recordings{more}", err=to_stderr)
    kept = sum(not one.error for one in learned)
    typer.echo(f"{kept} baselines learned, {len(learned) - kept} failed", err=to_stderr)


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="ONNX file to write.")] = Path("model.onnx"),
    model: ModelOption = DEFAULT_MODEL,
) -> None:
    """Write a model as one ONNX file: waveform in, logits and maps out, axes and classes in its metadata."""
    with clear_errors():
        from camvib.jobs import export_model

        typer.echo(f"model {export_model(model, out)}")


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    store: StoreOption = None,
    plant: PlantOption = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Model, for the proof and the figures on trust.")] = "",
    asset: Annotated[str | None, typer.Option(help="Only this machine.")] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="Also write the list as CSV.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Also print to a PDF, with Chromium.")] = None,
    work_orders: Annotated[Path | None, typer.Option(help="Folder for a text file a machine to act on.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Write one self-contained HTML report: which machine, which fault, since when, how sure, what to do."""
    with clear_errors():
        from camvib.jobs import report_store

        done = report_store(
            out, store, plant=plant, model=model, asset=asset, table=table, pdf=pdf, work_orders=work_orders,
            progress=not quiet,
        )  # fmt: skip
        view = done.view
        counts = f"{view.count('act')} to act on, {view.count('watch')} to watch, {view.count('blind')} not judged"
        typer.echo(f"{view.machines} machines, {view.recordings} recordings in {out}: {counts}")
        if view.left_out:
            typer.secho(f"{view.left_out} recordings of other machines are not in it", fg="yellow", err=True)
        for file in done.other_files:
            typer.echo(f"also {file}")


@app.command()
def spectrogram(
    path: Annotated[Path, typer.Argument(help="A recording, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="PNG to write; for a folder, the folder for the PNGs.")],
    settings: ConfigOption = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    quiet: QuietOption = False,
) -> None:
    """Draw spectrogram images with axes in seconds and hertz."""
    with clear_errors():
        from camvib.jobs import export_spectrograms
        from camvib.records import Declared
        from camvib.settings import Settings

        written, failed = export_spectrograms(
            path,
            out,
            Settings.load(settings).image,
            declared=Declared(channel, unit, sampling_rate),
            progress=not quiet,
        )
        for error in failed:
            typer.secho(f"camvib: {error}", fg="red", err=True)
        typer.echo(f"{len(written)} images: {out}")
        if failed:
            raise typer.Exit(2)


@app.command()
def read(
    path: Annotated[Path, typer.Argument(help="A file in any format that camvib reads.")],
    sampling_rate: RateOption = None,
    json_file: JsonOption = None,
) -> None:
    """Say what is in a file: format, rate, channels, units, warnings."""
    with clear_errors(json_file):
        from camvib.readers import describe

        found = describe(path, sampling_rate_hz=sampling_rate)
        write_json(found, json_file)
        if json_file is None:
            typer.echo(json.dumps(found, indent=2))


@app.command()
def labels(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings.")],
    out: Annotated[Path | None, typer.Option(help="CSV to write; default labels.draft.csv in the folder.")] = None,
    pattern: Annotated[str | None, typer.Option(help="How paths are built: '{group}/{label}_{speed}'.")] = None,
) -> None:
    """Draft a labels.csv from class folders, file names or another table; a person looks through it."""
    with clear_errors():
        from camvib.recordings.draft import write_draft

        target, draft = write_draft(folder, out, pattern=pattern)
        for note in draft.notes:
            typer.secho(note, fg="yellow", err=True)
        typer.echo(f"{len(draft.rows)} rows in {target}; look through it, and name it labels.csv")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
