"""Healthy recordings → each asset's baseline, for models that compare with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.errors import CamvibError, LabelsError, ModelError
from camvib.images.baseline import MIN_RECORDINGS, USUAL_RECORDINGS, Baseline
from camvib.model.model import Model
from camvib.monitoring.kept_baselines import KeptBaseline
from camvib.monitoring.ledger import Store
from camvib.recordings.discovery import expand
from camvib.recordings.entries import Entry, of_channel, recordings
from camvib.recordings.quality import check
from camvib.recordings.resampling import resample
from camvib.records import Declared, Recording

MOST_WINDOWS = 60  # of one recording; of a longer one as many, evenly spread


@dataclass(frozen=True)
class Learned:
    """What came of one asset.

    Attributes
    ----------
    asset : str
    recording_ids : tuple of str
        The healthy recordings used.
    left_out : tuple of dict
        File and reason of those that are not fit.
    error, remedy : str
        Why there is no baseline; empty where there is one.
    """

    asset: str
    recording_ids: tuple[str, ...]
    left_out: tuple[dict[str, str], ...]
    error: str = ""
    remedy: str = ""


@dataclass
class _Found:
    images: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    left_out: list[dict[str, str]] = field(default_factory=list)


def learn_baselines(
    paths: Sequence[Path],
    model: Model,
    store: Store,
    *,
    declared: Declared = Declared(),
    asset: str = "",
    allow_resample: bool = False,
    progress: bool = True,
) -> list[Learned]:
    """Learn the baselines of assets from healthy recordings, and keep them in the store.

    A baseline that is there already is replaced; verdicts given with it stay, and the next run of `diagnose` judges
    the asset's recordings anew.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders. Of those that a labels.csv describes, the ones with the model's healthy label are taken;
        all others count as healthy.
    model : Model
    store : Store
    declared : Declared
        Channel, unit and sampling rate, for files that do not say it themselves.
    asset : str
        Learn this asset only; recordings that name no asset are taken as its own.
    allow_resample : bool
        Bring recordings to the model's sampling rate instead of leaving them out.
    progress : bool

    Returns
    -------
    list of Learned
        One each asset. An asset with fewer than 3 fit recordings gets no baseline; the others do.

    Raises
    ------
    ModelError
        The model does not compare with baselines.
    LabelsError
        Not one healthy recording is among them.
    """
    if not model.needs_baseline:
        raise ModelError(
            f"model {model.digest} ({model.network_name}) compares with no baseline",
            "It diagnoses as it is; train with --network change_cnn for one that does",
        )
    entries = [entry for entry in expand(paths, declared, only_listed=True) if entry.label in ("", model.healthy)]
    found: dict[str, _Found] = {}
    bar = tqdm(total=len(entries), desc="baseline", unit="recording", disable=not progress, delay=2)
    for entry, recording in _read(entries, model, bar):
        name = entry.asset or asset or entry.group
        if asset and name != asset:
            continue
        mine = found.setdefault(name, _Found())
        try:
            fit = _fit(recording, model, allow_resample)
            mine.images[fit.id] = _images(fit, model)
        except CamvibError as error:
            mine.left_out.append({"file": str(entry.file), "reason": str(error)})
    bar.close()
    if not found:
        where = ", ".join(map(str, paths)) + (f", asset {asset}" if asset else "")
        raise LabelsError(f"{where}: no recording labelled {model.healthy!r}", "Name recordings of the healthy asset")
    return [_keep(name, mine, model, store) for name, mine in found.items()]


def _read(entries: list[Entry], model: Model, bar: Any) -> Iterator[tuple[Entry, Recording | CamvibError]]:
    for entry, group in groupby(recordings(entries), key=lambda pair: pair[0]):
        for recording in of_channel([recording for _, recording in group], model.spec.channel):
            yield entry, recording
        bar.update(1)


def _fit(recording: Recording | CamvibError, model: Model, allow_resample: bool) -> Recording:
    """Raise what speaks against it, as `camvib.diagnosis.verdict.judge` would refuse it."""
    if isinstance(recording, CamvibError):
        raise recording
    if allow_resample and recording.sampling_rate_hz != model.spec.sampling_rate_hz:
        recording = resample(recording, model.spec.sampling_rate_hz)
    for finding in check(recording, model.spec):
        if finding.refuse:
            raise CamvibError(finding.message, finding.remedy)
    return recording


def _images(recording: Recording, model: Model) -> NDArray[np.float32]:
    n = model.n
    count = len(recording.samples) // n
    chosen = np.linspace(0, count - 1, min(count, MOST_WINDOWS)).round().astype(int)
    return model.images(np.stack([np.asarray(recording.samples[i * n : (i + 1) * n], np.float32) for i in chosen]))


def _keep(asset: str, found: _Found, model: Model, store: Store) -> Learned:
    ids = tuple(found.images)
    if len(ids) < MIN_RECORDINGS:
        whose = f"asset {asset}" if asset else "recordings without an asset's name"
        why = f"; left out: {found.left_out[0]['reason']}" if found.left_out else ""
        return Learned(
            asset,
            ids,
            tuple(found.left_out),
            f"{whose}: {len(ids)} healthy recordings are fit, a baseline takes {MIN_RECORDINGS}{why}",
            f"Record it healthy {MIN_RECORDINGS} times or more ({USUAL_RECORDINGS} are usual), on different days",
        )
    baseline = Baseline.of(np.concatenate(list(found.images.values())), len(ids))
    store.save_baseline(KeptBaseline(asset, model.image_digest, baseline, ids))
    return Learned(asset, ids, tuple(found.left_out))
