"""What the command line and the flows both call: one function a job."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from camvib.drawing.figures import spectrogram_png
from camvib.errors import CamvibError, SettingsError
from camvib.images.spectrogram import spectrogram
from camvib.learning.data import open_labelled
from camvib.learning.run_folder import TrainingResult
from camvib.learning.train import train
from camvib.model.folder import load_model
from camvib.model.onnx import export_onnx
from camvib.monitoring.baselines import Learned, learn_baselines
from camvib.monitoring.batch import Batch, diagnose
from camvib.monitoring.ledger import Store
from camvib.recordings.entries import recordings
from camvib.recordings.folder import expand
from camvib.recordings.plant import Plant, draft
from camvib.registry import tracking, versions
from camvib.report import exports
from camvib.report.view import PlantView
from camvib.review.answers import Taken, import_file
from camvib.review.desk import serve
from camvib.review.labels import Labelled, write_labels
from camvib.review.publish import Page, page_of
from camvib.settings import Settings, SpectrogramSettings, home

PLANT_FILE = "plant.toml"


def train_tracked(folder: Path, out: Path, settings: Settings, *, track: bool = True, **options: Any) -> dict[str, Any]:
    """Train, log to MLflow, register the model; the summary is the JSON contract of ``camvib train``."""
    if not track:
        result = train(folder, out, settings, **options)
        return training_summary(result, None, str(result.model_dir))
    declared = ("channel", "unit", "sampling_rate_hz", "group_column", "extra_columns")
    open_labelled(folder, **{key: options[key] for key in declared if key in options})  # no run for a misspelt column
    run_id = tracking.run_of(out, folder, settings)
    result = tracked_training(folder, out, settings, run_id=run_id, **options)
    version = versions.register(run_id, result.model_dir)
    alias = versions.release(version)
    summary = training_summary(result, run_id, str(result.model_dir))
    return {**summary, "version": version, "alias": alias}


def training_summary(result: TrainingResult, run_id: str | None, model: str) -> dict[str, Any]:
    """JSON contract of ``camvib train``."""
    return {
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1,
        "classes": list(result.classes),
        "train_groups": list(result.train_groups),
        "test_groups": list(result.test_groups),
        "test_recordings": result.metrics["test_recordings"],
        "left_out": result.metrics["left_out"],
        "recall": result.metrics["recall"],
        "run_id": run_id,
        "model": model,
    }


def open_store(path: Path | str | None = None) -> Store:
    """Open the store at `path` (or a database URL), by default the one in camvib's home."""
    return Store(path or home() / "store.db")


def diagnose_paths(
    paths: Sequence[Path],
    model: str,
    store: Path | None = None,
    *,
    report: Path | None = None,
    plant: Path | None = None,
    **options: Any,
) -> Batch:
    """Diagnose what is new in files and folders with a model by path or URI; optionally write the store's report."""
    folder = versions.resolve(model)
    ledger = open_store(store)
    # What to type is for who types: the model as it was named, and the store where it is not the usual one.
    command = [
        "camvib",
        "baseline",
        "HEALTHY_RECORDINGS",
        "--model",
        model,
        *(["--store", str(store)] if store else []),
    ]
    batch = diagnose(paths, folder, ledger, baseline_command=shlex.join(command), **options)
    if report:
        report_store(report, store, plant=plant, model=model, progress=options.get("progress", True))
    return batch


def baseline_paths(paths: Sequence[Path], model: str, store: Path | None = None, **options: Any) -> list[Learned]:
    """Learn the baselines of the assets in files and folders, for a model by path or URI."""
    return learn_baselines(paths, load_model(versions.resolve(model)), open_store(store), **options)


def export_model(model: str, out: Path) -> Path:
    """Write a model by path or URI as one ONNX file."""
    return export_onnx(load_model(versions.resolve(model)), out)


@dataclass(frozen=True)
class Written:
    """What a report came to."""

    out: Path
    view: PlantView
    other_files: tuple[Path, ...] = ()


def report_store(
    out: Path,
    store: Path | str | None = None,
    *,
    plant: Path | None = None,
    model: str = "",
    asset: str | None = None,
    table: Path | None = None,
    pdf: Path | None = None,
    work_orders: Path | None = None,
    progress: bool = True,
) -> Written:
    """Write the report of a store: the page, and what else is asked for.

    Parameters
    ----------
    out : Path
        The page. An older one in its place tells when the last report was written.
    store : Path or str, optional
    plant : Path, optional
        Plant file.
    model : str
        Path or URI, for the proof and for how far to trust the page; empty: none.
    asset : str, optional
        Only this machine.
    table, pdf : Path, optional
        CSV of the list, PDF of the page.
    work_orders : Path, optional
        Folder for one text file for each machine to act on.
    progress : bool
    """
    page = _page(open_store(store), plant, model, asset=asset, former=out)
    page.write(out, progress=progress)
    others = []
    if table:
        others.append(table)
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(exports.table(page.view), "utf-8")
    if pdf:
        others.append(exports.pdf(out, pdf))
    if work_orders:
        work_orders.mkdir(parents=True, exist_ok=True)
        for row in page.view.of("act"):
            others.append(work_orders / f"{row.id}.txt")
            others[-1].write_text(exports.work_order(row, page.view), "utf-8")
    return Written(out, page.view, tuple(others))


def _page(
    store: Store, plant: Path | None, model: str, *, asset: str | None = None, former: Path | None = None
) -> Page:
    loaded = load_model(versions.resolve(model)) if model else None
    known = Plant.load(plant or usual_plant())
    return page_of(store, known, loaded, model_name=model, asset=asset, former=former)


def usual_plant() -> Path | None:
    """The plant file in camvib's home, if there is one."""
    path = home() / PLANT_FILE
    return path if path.is_file() else None


def draft_plant(out: Path, store: Path | str | None = None, model: str = "") -> tuple[Path, int]:
    """Write a plant file to start from, with the store's assets and the model's classes; returns how many assets.

    Raises
    ------
    SettingsError
        There is a file already.
    """
    if out.exists():
        raise SettingsError(f"{out} is there already", "Name another file; camvib overwrites no plant file")
    ledger = open_store(store)
    loaded = load_model(versions.resolve(model)) if model else None
    seen = {case.label for case in ledger.cases(closed=True)}
    labels = [name for name in (loaded.classes if loaded else sorted(seen)) if not loaded or name != loaded.healthy]
    assets = [asset for asset in ledger.assets() if asset]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(draft(assets, labels), "utf-8")
    return out, len(assets)


def serve_review(
    store: Path | str | None, plant: Path | None, model: str, *, host: str, port: int, token: str = ""
) -> None:
    """Serve the review desk until Ctrl-C."""
    ledger = open_store(store)
    serve(ledger, lambda: _page(ledger, plant, model), host, port, token)


def import_answers(files: Sequence[Path], store: Path | str | None = None) -> dict[Path, Taken]:
    """Take files of answers into the store, each answer once."""
    ledger = open_store(store)
    return {file: import_file(ledger, file) for file in files}


def labels_from_answers(out: Path, store: Path | str | None = None, healthy: str = "healthy") -> Labelled:
    """Write a labelled folder of what people answered."""
    return write_labels(open_store(store), out, healthy=healthy)


def export_spectrograms(
    path: Path, out: Path, settings: SpectrogramSettings, *, progress: bool = True, **declared: Any
) -> tuple[list[Path], list[CamvibError]]:
    """Draw a recording to a PNG, or every recording of a folder to PNGs in a folder.

    Returns
    -------
    written : list of Path
    failed : list of CamvibError
        What could not be read or drawn; the rest is written all the same.
    """
    written: list[Path] = []
    failed: list[CamvibError] = []
    entries = list(expand([path], **declared))
    for entry, recording in tqdm(recordings(entries), total=len(entries), disable=not progress, delay=2):
        try:
            if isinstance(recording, CamvibError):
                raise recording
            stretch = f"{recording.start_s:g}–{recording.start_s + recording.duration_s:g} s"
            target = out / f"{entry.file.stem}_{recording.id[:6]}.png" if path.is_dir() else out
            title = f"{entry.file.name}: {recording.channel}, {stretch}"
            written.append(spectrogram_png(spectrogram(recording, settings), target, title=title))
        except CamvibError as error:
            failed.append(error)
    return written, failed


def tracked_training(
    folder: Path, out: Path, settings: Settings, *, run_id: str | None = None, **options: Any
) -> TrainingResult:
    """Train as `camvib.learning.train.train` does, and keep the training's MLflow run up to date.

    Called again on the same `out`, both the training and its run go on where they stopped.

    Parameters
    ----------
    run_id : str, optional
        The run; by default that of `run_of`.
    **options
        Those of `camvib.learning.train.train`.
    """
    with tracking.open_run(out.name, run_id=run_id or tracking.run_of(out, folder, settings)) as run:
        result = train(folder, out, settings, on_epoch=run.log_epoch, **options)
        run.log_run_folder(result)
    return result
