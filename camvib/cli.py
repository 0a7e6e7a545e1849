"""The command line: argument parsing only. Heavy imports wait until a command runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camvib import __version__
from camvib.errors import CamvibError

if TYPE_CHECKING:
    from camvib.diagnosis import Batch

app = typer.Typer(
    name="camvib",
    help="Vibration diagnosis that shows its evidence: where, in seconds and hertz, each verdict comes from.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Public data sets: list, fetch, verify.", no_args_is_help=True)
app.add_typer(data_app, name="data")
evaluate_app = typer.Typer(help="Honest figures: on real recordings, and of maps against simulated truth.")
app.add_typer(evaluate_app, name="evaluate")

DEFAULT_MODEL = "models:/camvib@champion"

JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the result here; - is stdout.")]
ChannelOption = Annotated[str | None, typer.Option(help="Channel to use where files have several.")]
UnitOption = Annotated[str | None, typer.Option(help="Unit of the samples, for files that do not say; or 'arbitrary'.")]
RateOption = Annotated[float | None, typer.Option("--sampling-rate", help="Sampling rate in Hz, for files without.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]
ConfigOption = Annotated[Path | None, typer.Option("--settings", help="TOML file, see docs/reference/settings.md.")]
ModelOption = Annotated[str, typer.Option("--model", "-m", help="Run folder, model folder or MLflow model URI.")]


@contextmanager
def _clear_errors(json_file: Path | None = None) -> Iterator[None]:
    """Say what camvib refuses in two lines, and exit with 2."""
    try:
        yield
    except CamvibError as error:
        typer.secho(f"camvib: {error.message}", fg="red", err=True)
        if error.remedy:
            typer.secho(f"  → {error.remedy}", err=True)
        if json_file:
            _write_json({"error": error.message, "remedy": error.remedy}, json_file)
        raise typer.Exit(2) from error


def _write_json(result: Any, json_file: Path | None) -> None:
    if json_file is None:
        return
    text = json.dumps(result, indent=2) + "\n"
    if str(json_file) == "-":
        sys.stdout.write(text)
    else:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(text)


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
    recordings: Annotated[int, typer.Option(min=50, help="Simulated recordings to train on.")] = 800,
    seed: int = 0,
) -> None:
    """The whole path on a simulated fleet: simulate, train, register, diagnose, report."""
    with _clear_errors():
        from camvib.pipelines.demo import run_demo

        run_demo(out.resolve(), recordings=recordings, seed=seed)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Labelled folder to write.")],
    recordings: Annotated[int, typer.Option(min=1)] = 600,
    seed: int = 0,
    twins: Annotated[bool, typer.Option(help="Also write healthy twins and evidence masks.")] = True,
    quiet: QuietOption = False,
) -> None:
    """Simulate recordings of cantilevers, healthy and faulty, as a labelled folder."""
    with _clear_errors():
        from camvib.simulation.fleet import write_fleet

        write_fleet(out, recordings, seed, twins=twins, progress=not quiet)
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
        str | None, typer.Option(help="gap_cnn, change_cnn (asks for baselines), or cnn_fc to compare with.")
    ] = None,
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
    with _clear_errors(json_file):
        from camvib.jobs import train_tracked
        from camvib.settings import Settings

        chosen = Settings.load(
            settings,
            training={"epochs": epochs, "seed": seed},
            model={"head": head, "name": network},
            spectrogram={"window_s": window_s},
            diagnosis={"healthy": healthy},
        )
        summary = train_tracked(
            folder,
            out,
            chosen,
            track=tracking,
            channel=channel,
            unit=unit,
            sampling_rate_hz=sampling_rate,
            resample_hz=resample,
            group_column=group,
            extra_columns=extra_columns,
            rig=rig,
            progress=not quiet,
        )
        _write_json(summary, json_file)
        typer.echo(
            f"accuracy {summary['accuracy']:.3f}, macro-F1 {summary['macro_f1']:.3f} on "
            f"{summary['test_recordings']} recordings of {len(summary['test_groups'])} unseen groups\n"
            f"model {summary['model']}",
            err=str(json_file) == "-",
        )
        if summary["left_out"]:
            typer.secho(f"{summary['left_out']} recordings left out; why: {out / 'data.json'}", fg="yellow", err=True)


@app.command()
def diagnose(
    paths: Annotated[list[Path], typer.Argument(help="Recordings, or folders of them.")],
    model: ModelOption = DEFAULT_MODEL,
    store: Annotated[Path | None, typer.Option(help="SQLite file of done diagnoses; default in CAMVIB_HOME.")] = None,
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report.")] = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    resample: Annotated[bool, typer.Option(help="Resample to the model's rate instead of refusing.")] = False,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Diagnose recordings: verdict, probabilities, and where the evidence is."""
    with _clear_errors(json_file):
        from camvib.jobs import as_json, diagnose_paths

        batch = diagnose_paths(
            paths,
            model,
            store,
            report=report,
            channel=channel,
            unit=unit,
            sampling_rate_hz=sampling_rate,
            allow_resample=resample,
            progress=not quiet,
        )
        _write_json([as_json(diagnosis) for diagnosis in batch.diagnoses], json_file)
        if str(json_file) != "-":
            _print_diagnoses(batch)
        if report:
            typer.echo(f"report {report}", err=str(json_file) == "-")


def _print_diagnoses(batch: Batch, most: int = 40) -> None:
    for diagnosis in batch.diagnoses[:most]:
        label = diagnosis.label if diagnosis.verdict in ("fault", "unknown") else ""
        chance = diagnosis.probabilities.get(diagnosis.label)
        number = f"{chance:.2f}" if chance is not None else ""
        where = f"{diagnosis.reason}. {diagnosis.remedy}" if diagnosis.verdict == "refused" else ""
        if diagnosis.regions and diagnosis.verdict == "fault":
            top = diagnosis.regions[0]
            where = f"{top.start_s:.2f}–{top.end_s:.2f} s, {top.low_hz:.0f}–{top.high_hz:.0f} Hz {top.name}"
        name = Path(diagnosis.recording).name
        typer.echo(f"{diagnosis.verdict:8} {label:14} {number:5} {diagnosis.asset:12} {name}  {where}")
    if len(batch.diagnoses) > most:
        typer.echo(f"… and {len(batch.diagnoses) - most} more")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(batch.counts.items()))
    typer.echo(f"{counts or 'nothing found'}; {batch.new} new")


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    store: Annotated[Path | None, typer.Option(help="SQLite file of diagnoses; default in CAMVIB_HOME.")] = None,
    asset: Annotated[str | None, typer.Option(help="Only this asset.")] = None,
    verdict: Annotated[str | None, typer.Option(help="Only healthy, fault, unknown or refused.")] = None,
    last: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 200,
    quiet: QuietOption = False,
) -> None:
    """Write one self-contained HTML report of what is in the store."""
    with _clear_errors():
        from camvib.jobs import report_store

        count = report_store(out, store, asset=asset, verdict=verdict, last=last, progress=not quiet)
        typer.echo(f"{count} recordings in {out}")


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
    with _clear_errors():
        from camvib.jobs import export_spectrograms
        from camvib.settings import Settings

        written, failed = export_spectrograms(
            path,
            out,
            Settings.load(settings).spectrogram,
            channel=channel,
            unit=unit,
            sampling_rate_hz=sampling_rate,
            progress=not quiet,
        )
        for error in failed:
            typer.secho(f"camvib: {error}", fg="red", err=True)
        typer.echo(f"{len(written)} images: {out}")
        if failed:
            raise typer.Exit(2)


@app.command()
def schedule(
    inbox: Annotated[Path, typer.Option(help="Folder that recordings arrive in.")],
    cron: Annotated[str, typer.Option(help="When to run, e.g. '0 * * * *'.")] = "0 * * * *",
    every: Annotated[float | None, typer.Option(help="Run every so many seconds instead.")] = None,
    model: ModelOption = DEFAULT_MODEL,
    report: Annotated[Path | None, typer.Option(help="HTML report to renew with each run.")] = None,
) -> None:
    """Diagnose an inbox on a schedule with the registry's champion, until Ctrl-C."""
    with _clear_errors():
        from camvib.pipelines.schedule import schedule as serve

        serve(cron, inbox.resolve(), model, report=report.resolve() if report else None, every_s=every)


@app.command()
def read(
    path: Annotated[Path, typer.Argument(help="A file in any format that camvib reads.")],
    json_file: JsonOption = None,
) -> None:
    """Say what is in a file: format, rate, channels, units, warnings."""
    with _clear_errors(json_file):
        from camvib.readers import describe

        found = describe(path)
        _write_json(found, json_file)
        if json_file is None:
            typer.echo(json.dumps(found, indent=2))


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
    with _clear_errors():
        from camvib.catalog import fetch
        from camvib.settings import home

        folder = fetch(name, out or home() / "data" / name, mirror)
        typer.echo(f"{name} in {folder}")


@data_app.command("verify")
def data_verify(name: str, folder: Path) -> None:
    """Check a folder's files against the catalog's sha256."""
    with _clear_errors():
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
    with _clear_errors(out):
        from camvib.evaluation.real import evaluate_real

        found = evaluate_real(
            name, folder, split=split, seeds=seeds, leaky=leaky, unit=unit, channel=channel, progress=not quiet
        )
        _write_json(found, out)
        typer.echo(json.dumps({key: found[key] for key in ("name", "split", "leaky", "accuracy", "macro_f1")}))


@evaluate_app.command("maps")
def evaluate_map_truth(
    model: Annotated[Path, typer.Option("--model", "-m", help="Run folder, or folder of map networks.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of specimens that nobody trained on.")] = 9001,
    specimens: Annotated[int, typer.Option(min=2, help="Ten recordings each.")] = 40,
    figures: Annotated[Path | None, typer.Option(help="Folder for the picture grid.")] = None,
) -> None:
    """Score a model's maps against physical truth, beside every trivial map."""
    with _clear_errors(out):
        from camvib.evaluation.maps import evaluate_maps, table

        found = evaluate_maps(model, seed=seed, specimens=specimens, out=out, figures=figures)
        typer.echo(table(found))


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
