"""What the command line and the flows both call: one function a job."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from camvib.drawing.figures import spectrogram_png
from camvib.errors import CamvibError
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
from camvib.registry import tracking, versions
from camvib.report import write_report
from camvib.settings import Settings, SpectrogramSettings, home


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


def open_store(path: Path | None = None) -> Store:
    """Open the store at `path`, by default the one in camvib's home."""
    return Store(path or home() / "store.db")


def diagnose_paths(
    paths: Sequence[Path], model: str, store: Path | None = None, *, report: Path | None = None, **options: Any
) -> Batch:
    """Diagnose what is new in files and folders with a model by path or URI; optionally write the report."""
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
        write_batch_report(batch, ledger, folder, report, progress=options.get("progress", True))
    return batch


def baseline_paths(paths: Sequence[Path], model: str, store: Path | None = None, **options: Any) -> list[Learned]:
    """Learn the baselines of the assets in files and folders, for a model by path or URI."""
    return learn_baselines(paths, load_model(versions.resolve(model)), open_store(store), **options)


def export_model(model: str, out: Path) -> Path:
    """Write a model by path or URI as one ONNX file."""
    return export_onnx(load_model(versions.resolve(model)), out)


def write_batch_report(batch: Batch, store: Store, model_folder: Path, out: Path, *, progress: bool = True) -> Path:
    """Report of one run of `diagnose`."""
    model = load_model(model_folder)
    about = {**model.card, "name": model.digest}
    cases = ((diagnosis, store.evidence(diagnosis)) for diagnosis in batch.diagnoses)
    return write_report(cases, out, model=about, progress=progress)


def report_store(
    out: Path, store: Path | None = None, *, asset: str | None, verdict: str | None, last: int, progress: bool = True
) -> int:
    """Report of the newest diagnoses in a store; returns how many."""
    ledger = open_store(store)
    chosen = [
        diagnosis
        for diagnosis in reversed(ledger.all())
        if (asset is None or diagnosis.asset == asset) and (verdict is None or diagnosis.verdict == verdict)
    ][:last]
    write_report(((diagnosis, ledger.evidence(diagnosis)) for diagnosis in chosen), out, progress=progress)
    return len(chosen)


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
