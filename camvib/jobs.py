"""What the command line and the flows both call: one function a job."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from camvib import registry, tracking
from camvib.baselining import Learned, learn_baselines
from camvib.datasets import expand, recordings
from camvib.diagnosis import Batch, diagnose
from camvib.errors import CamvibError
from camvib.inference import load_model
from camvib.onnx_export import export_onnx
from camvib.pictures import spectrogram_png
from camvib.records import Diagnosis
from camvib.report import write_report
from camvib.settings import Settings, SpectrogramSettings, home
from camvib.spectrograms import spectrogram
from camvib.store import Store
from camvib.training import TrainingResult, train
from camvib.training_data import open_labelled


def train_tracked(folder: Path, out: Path, settings: Settings, *, track: bool = True, **options: Any) -> dict[str, Any]:
    """Train, log to MLflow, register the model; the summary is the JSON contract of ``camvib train``."""
    if not track:
        result = train(folder, out, settings, **options)
        return training_summary(result, None, str(result.model_dir))
    declared = ("channel", "unit", "sampling_rate_hz", "group_column", "extra_columns")
    open_labelled(folder, **{key: options[key] for key in declared if key in options})  # no run for a misspelt column
    run_id = tracking.run_of(out, folder, settings)
    result = tracking.tracked_training(folder, out, settings, run_id=run_id, **options)
    version = registry.register(run_id, result.model_dir)
    alias = registry.release(version)
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
    folder = registry.resolve(model)
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
    return learn_baselines(paths, load_model(registry.resolve(model)), open_store(store), **options)


def export_model(model: str, out: Path) -> Path:
    """Write a model by path or URI as one ONNX file."""
    return export_onnx(load_model(registry.resolve(model)), out)


def evaluate_model_maps(model: str, **options: Any) -> dict[str, Any]:
    """Score the maps of a model by path or URI, or of a folder of map networks, against simulated truth."""
    from camvib.evaluation.map_models import DESCRIPTION
    from camvib.evaluation.maps import evaluate_maps

    folder = Path(model) if (Path(model) / DESCRIPTION).is_file() else registry.resolve(model)
    return evaluate_maps(folder, **options)


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


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """JSON contract of ``camvib diagnose``, one recording."""
    record = asdict(diagnosis)
    keys = ("recording", "asset", "verdict", "label", "probabilities", "reason", "remedy")
    more = ("recording_id", "channel", "start_s", "duration_s", "sampling_rate_hz", "unit", "reference", "model")
    return {
        **{key: record[key] for key in keys},
        "regions": [dict(region) for region in record["regions"]],
        **{key: record[key] for key in more},
        "findings": [finding["message"] for finding in record["findings"]],
        "warnings": list(record["warnings"]),
    }


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
