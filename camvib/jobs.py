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
from camvib.recordings.discovery import expand
from camvib.recordings.entries import recordings
from camvib.records import Declared
from camvib.registry import tracking, versions
from camvib.report import write_report
from camvib.settings import ImageSettings, Settings, home


def open_training(folder: Path, out: Path, settings: Settings, declared: Declared = Declared()) -> str:
    """Find or make the MLflow run of a training; its labels are read first, so that a misspelt column makes none."""
    open_labelled(folder, declared)
    return tracking.run_of(out, folder, settings)


def run_training(
    folder: Path,
    out: Path,
    settings: Settings,
    run_id: str,
    *,
    declared: Declared = Declared(),
    network: str | None = None,
    rig: str | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train, or go on where a training was stopped, in its MLflow run."""
    with tracking.open_run(out.name, run_id=run_id) as run:
        result = train(
            folder,
            out,
            settings,
            declared=declared,
            network=network,
            rig=rig,
            on_epoch=run.log_epoch,
            progress=progress,
        )
        run.log_run_folder(result)
    return result


def register_model(run_id: str, model_dir: Path, name: str = versions.NAME) -> str:
    """Make the model a version; a second time it finds the version that stands."""
    return versions.register(run_id, model_dir, name)


def release_model(version: str, learned: bool, name: str = versions.NAME) -> str:
    """Make the version champion or challenger; one that learned nothing gets no alias."""
    return versions.release(version, name) if learned else "none"


def train_tracked(
    folder: Path,
    out: Path,
    settings: Settings,
    *,
    declared: Declared = Declared(),
    network: str | None = None,
    rig: str | None = None,
    track: bool = True,
    progress: bool = True,
) -> dict[str, Any]:
    """Train, log to MLflow, register and release the model; the summary is the JSON contract of ``camvib train``."""
    if not track:
        result = train(folder, out, settings, declared=declared, network=network, rig=rig, progress=progress)
        return training_summary(result, None)
    run_id = open_training(folder, out, settings, declared)
    result = run_training(folder, out, settings, run_id, declared=declared, network=network, rig=rig, progress=progress)
    version = register_model(run_id, result.model_dir)
    alias = release_model(version, result.learned)
    return {**training_summary(result, run_id), "version": version, "alias": alias}


def training_summary(result: TrainingResult, run_id: str | None) -> dict[str, Any]:
    """JSON contract of ``camvib train``."""
    more = ("test_recordings", "measured_on", "left_out", "recall", "voting")
    return {
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1,
        "classes": list(result.classes),
        "train_groups": list(result.train_groups),
        "test_groups": list(result.test_groups),
        **{name: result.metrics[name] for name in more},
        "network": result.network,
        "image": result.image,
        "compared": list(result.compared),
        "trivial": result.trivial,
        "learned": result.learned,
        "run_id": run_id,
        "model": str(result.model_dir),
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
    path: Path, out: Path, settings: ImageSettings, *, progress: bool = True, **declared: Any
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
