"""What the command line and the flows both call: one function a job."""

from __future__ import annotations

import atexit
import logging
import os
import shlex
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from camvib.drawing.figures import spectrogram_png
from camvib.errors import CamvibError, SettingsError
from camvib.images.spectrogram import spectrogram
from camvib.learning.data import open_labelled
from camvib.learning.run_folder import TrainingResult
from camvib.learning.train import train
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.model.onnx import export_onnx
from camvib.monitoring.baselines import Learned, learn_baselines
from camvib.monitoring.batch import Batch, Options, Run, diagnose
from camvib.monitoring.database import shown
from camvib.monitoring.ledger import Store
from camvib.monitoring.notifiers import tell
from camvib.monitoring.remake import evidence_again
from camvib.monitoring.request import BatchJob, BatchSettings
from camvib.monitoring.sources import is_remote
from camvib.recordings.discovery import expand
from camvib.recordings.entries import recordings
from camvib.recordings.plant import Plant, draft
from camvib.records import Case, Declared, Diagnosis
from camvib.registry import tracking, versions
from camvib.registry.cache import find_model
from camvib.review.desk import serve
from camvib.review.publish import Page, Written, page_of, publish
from camvib.settings import ImageSettings, Settings, home

_LOG = logging.getLogger("camvib")
PLANT_FILE = "plant.toml"


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


def open_store(store: str | Path | None = None) -> Store:
    """Open a store by path or database URL; by default what CAMVIB_STORE says, else the one in camvib's home."""
    return Store(store or os.environ.get("CAMVIB_STORE") or home() / "store.db")


def diagnose_paths(
    sources: Sequence[str | Path],
    model: str,
    store: str | Path | None = None,
    *,
    report: Path | None = None,
    plant: Path | None = None,
    settings: BatchSettings | None = None,
    progress: bool = True,
) -> Batch:
    """Diagnose what is new in files, folders and buckets with a model by path or URI; tell people; write the report."""
    job = pin_job(sources, model, store, settings)
    ledger = _opened(job)
    batch = diagnose(job.sources, job.model_folder, ledger, _options(job), progress=progress)
    ledger.note_model(load_model(job.model_folder).digest, job.version, {"asked": job.asked})
    tell(ledger, job.settings.notify, str(report.resolve()) if report else "")
    if report:
        publish(
            plant_page(ledger, plant, load_model(job.model_folder), name=model, former=report),
            report,
            progress=progress,
        )
    return batch


def backfill(
    since: str,
    until: str,
    model: str,
    store: str | Path | None = None,
    *,
    settings: BatchSettings | None = None,
    progress: bool = True,
) -> Batch:
    """Diagnose what was recorded within a time with another model, beside the verdicts that count."""
    job = pin_job((), model, store, (settings or BatchSettings()).model_copy(update={"beside": True}))
    with Run(load_model(job.model_folder), _opened(job), _options(job)) as run:
        registered, listing = run.find_again(since, until)
        bar = tqdm(total=len(registered.todo), desc="backfill", unit="file", disable=not progress, delay=2)

        def tell_bar(done: int, _: int) -> None:
            bar.update(done - bar.n)

        fresh = run.work(registered.todo, tell_bar)
        bar.close()
        return run.batch(registered, listing, fresh)


def pin_job(
    sources: Sequence[str | Path], model: str, store: str | Path | None = None, settings: BatchSettings | None = None
) -> BatchJob:
    """Find the model that an alias means now, so that a run never mixes versions; sources by absolute path or URL."""
    found = find_model(model)
    if found.is_cached:
        _LOG.warning(
            "the tracking server does not answer: going on with %s version %s as it was on %s",
            model, found.version or "?", found.asked_at,
        )  # fmt: skip
    ledger = open_store(store)
    return BatchJob(
        sources=tuple(str(source) if is_remote(source) else os.path.abspath(source) for source in sources),  # noqa: PTH100
        model=str(found.folder.resolve()),
        asked=model,
        version=found.version,
        store=ledger.url,
        evidence=str(ledger.folder.resolve()),
        settings=settings or BatchSettings(),
    )


def _opened(job: BatchJob) -> Store:
    return Store(job.store, Path(job.evidence))


def _options(job: BatchJob) -> Options:
    # The remedy repeats the user's own words: the model as it was named, and the store where it is not the usual one.
    command = ["camvib", "baseline", "HEALTHY_RECORDINGS", "--model", job.asked or job.model]
    if job.store != str((home() / "store.db").resolve()):
        command += ["--store", shown(job.store)]
    return job.settings.options(shlex.join(command))


def find_files(job: BatchJob) -> FoundFiles:
    """List what is there for a job, and what of it is not done; nothing is diagnosed."""
    registered, listing = _run(job).find(job.sources)
    if not registered.all and listing.missing and not listing.unsettled:
        raise listing.missing[0][1]
    return FoundFiles(
        registered.all.tolist(),
        registered.todo.tolist(),
        [str(error) for _, error in listing.missing],
        listing.unsettled,
        [f"{count} {what}" for what, count in listing.notes.items()],
    )


def diagnose_files(job: BatchJob, files: Sequence[int]) -> dict[str, int]:
    """Diagnose files of a job by number; how many new verdicts there are of each kind."""
    counted: Counter[str] = Counter()
    for (verdict, label), count in _run(job).work(files).items():
        counted[f"fault: {label}" if verdict == "fault" else verdict] += count
    return dict(counted)


def open_cases(job: BatchJob, report: Path | None = None) -> list[Case]:
    """Let the cases see what is new in a job's store, and tell people; those that were opened or woken."""
    store = _opened(job)
    store.update_cases(job.settings.options().cases)
    return tell(store, job.settings.notify, str(report.resolve()) if report else "")


def report_job(job: BatchJob, out: Path) -> Path:
    """Write the report of a job's store."""
    page = plant_page(_opened(job), None, load_model(job.model_folder), name=job.asked, former=out)
    return publish(page, out, progress=False).out


def count_verdicts(job: BatchJob, files: Sequence[int]) -> dict[str, int]:
    """How many recordings of files of a job have which verdict, the most frequent first."""
    counted: Counter[str] = Counter()
    for (verdict, label), count in _opened(job).verdicts_of(files).items():
        counted[f"fault: {label}" if verdict == "fault" else verdict] += count
    return dict(counted.most_common())


def some_refused(job: BatchJob, files: Sequence[int], most: int) -> list[Diagnosis]:
    """The newest refusals among files of a job, not more than so many."""
    return _opened(job).refused_of(files, most)


class FoundFiles(NamedTuple):
    """Numbers of a job's files, of those that are not done, and what else a look at the sources told."""

    files: list[int]
    todo: list[int]
    missing: list[str]
    unsettled: int
    notes: list[str]


_runs: dict[str, Run] = {}
_runs_lock = threading.Lock()


def _run(job: BatchJob) -> Run:
    """The run of a job in this process: its model and its worker processes are there for all its tasks."""
    key = job.model_dump_json()
    with _runs_lock:
        if key not in _runs:
            for old in list(_runs):
                _runs.pop(old).__exit__()
            _runs[key] = Run(load_model(job.model_folder), _opened(job), _options(job))
            atexit.register(_runs[key].__exit__)
        return _runs[key]


def repair_evidence(model: str, store: str | Path | None = None) -> tuple[int, list[str]]:
    """Make evidence again that is missing or damaged; how many were made, and why others could not be."""
    ledger, found = open_store(store), load_model(find_model(model).folder)
    made, failed = 0, []
    for diagnosis in ledger.all():
        if diagnosis.model != found.digest or ledger.evidence_state(diagnosis) not in ("missing", "damaged"):
            continue
        try:
            evidence_again(ledger, diagnosis, found)
            made += 1
        except CamvibError as error:
            failed.append(str(error))
    return made, failed


def baseline_paths(
    paths: Sequence[Path],
    model: str,
    store: str | Path | None = None,
    *,
    declared: Declared = Declared(),
    asset: str = "",
    allow_resample: bool = False,
    progress: bool = True,
) -> list[Learned]:
    """Learn the baselines of the assets in files and folders, for a model by path or URI."""
    return learn_baselines(
        paths,
        load_model(versions.resolve(model)),
        open_store(store),
        declared=declared,
        asset=asset,
        allow_resample=allow_resample,
        progress=progress,
    )


def export_model(model: str, out: Path) -> Path:
    """Write a model by path or URI as one ONNX file."""
    return export_onnx(load_model(versions.resolve(model)), out)


def plant_page(
    store: Store, plant: Path | None, model: Model | None, *, name: str = "", asset: str | None = None,
    former: Path | None = None,
) -> Page:  # fmt: skip
    """Make the page of a store; without a plant file named, that in camvib's home, if there is one."""
    usual = home() / PLANT_FILE
    known = Plant.load(plant or (usual if usual.is_file() else None))
    return page_of(store, known, model, model_name=name, asset=asset, former=former)


def report_store(
    out: str | Path, store: Path | str | None = None, *, plant: Path | None = None, model: str = "",
    asset: str | None = None, table: Path | None = None, pdf: Path | None = None, work_orders: Path | None = None,
    progress: bool = True,
) -> Written:  # fmt: skip
    """Write the report of a store; the model, by path or URI, is for the proof and for how far to trust the page."""
    page = plant_page(open_store(store), plant, named_model(model), name=model, asset=asset, former=Path(out))
    return publish(page, Path(out), table=table, pdf=pdf, work_orders=work_orders, progress=progress)


def named_model(model: str) -> Model | None:
    """Load a model by path or URI; None where none is named."""
    return load_model(versions.resolve(model)) if model else None


def draft_plant(out: Path, store: Path | str | None = None, model: str = "") -> tuple[Path, int]:
    """Write a plant file to start from, with the store's assets and the model's classes; returns how many assets.

    Raises
    ------
    SettingsError
        There is a file already.
    """
    if out.exists():
        raise SettingsError(f"{out} is there already", "Name another file; camvib overwrites no plant file")
    ledger, loaded = open_store(store), named_model(model)
    labels = [name for name in loaded.classes if name != loaded.healthy] if loaded else []
    labels = labels or sorted({case.label for case in ledger.cases(closed=True)})
    assets = [asset for asset in ledger.assets() if asset]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(draft(assets, labels), "utf-8")
    return out, len(assets)


def serve_review(
    store: Path | str | None, plant: Path | None, model: str, *, host: str, port: int, token: str = ""
) -> None:
    """Serve the review desk until Ctrl-C."""
    ledger, loaded = open_store(store), named_model(model)
    serve(ledger, lambda: plant_page(ledger, plant, loaded, name=model), host, port, token)


def export_spectrograms(
    path: Path, out: Path, settings: ImageSettings, *, declared: Declared = Declared(), progress: bool = True
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
    entries = list(expand([path], declared))
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
