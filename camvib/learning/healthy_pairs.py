"""What ``change_cnn`` learns from: each recording of a labelled folder beside its healthy twin and its baseline.

A twin is learned from simulated pairs where the folder holds each recording's healthy twin (``twins/``, written by
``camvib simulate``); a plant, which has none, learns it from synthetic changes on its healthy recordings.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.augmentation.mains_hum import line_rows
from camvib.augmentation.samples import ChangeData, HumLines
from camvib.errors import LabelsError, SettingsError, SignalError
from camvib.images.baseline import MIN_RECORDINGS, USUAL_RECORDINGS, Baseline, HealthyPool
from camvib.images.difference import smooth_difference
from camvib.images.spectrogram import SpectrogramLayer
from camvib.learning.data import TrainingData, cut_windows
from camvib.model.diagnoser import layer_images
from camvib.networks.twin import CHANGE_DB
from camvib.recordings.labels import HEALTHY_WORDS
from camvib.recordings.resampling import resample
from camvib.settings import Settings
from camvib.simulation.twins import noise_floor

TWINS = "twins"
BASELINE_DRAWS = 3  # a baseline of five recordings is itself noisy: training sees several


def settle_source(data: TrainingData, settings: Settings) -> Settings:
    """Decide where the twin's examples come from, ``simulated`` or ``synthetic``.

    Raises
    ------
    SettingsError
        Simulated twins are asked for, and some recordings have none.
    """
    source = settings.twin.source
    missing = [file for file in data.files if not _twin(data.folder, file).is_file()]
    if source == "simulated" and missing:
        raise SettingsError(
            f"{data.folder / TWINS}: {len(missing)} of {len(data.files)} recordings have no twin, e.g. {missing[0]}",
            'Simulate them with twins, or set [twin] source = "synthetic"',
        )
    if source == "auto":
        source = "synthetic" if missing else "simulated"
    return settings.model_copy(update={"twin": settings.twin.model_copy(update={"source": source})})


def _twin(folder: Path, file: str) -> Path:
    return folder / TWINS / file


def with_baselines(data: TrainingData, settings: Settings, progress: bool) -> TrainingData:
    """Give each recording a baseline of other healthy recordings of its asset; leave out what has too few.

    Raises
    ------
    LabelsError
        There is no healthy class, or not one asset has enough healthy recordings.
    """
    pool = _healthy_pool(data, settings, progress)
    few, drawn = {}, []
    for i, (asset, identity) in enumerate(zip(data.assets, data.ids, strict=True)):
        try:
            drawn.append(pool.draw(asset, identity, np.random.default_rng([0, i])))
        except SignalError:
            count = len(pool.others(asset, identity))
            few[i] = f"asset {asset} has {count} other healthy recordings, its baseline takes {MIN_RECORDINGS}"
    if not drawn:
        raise LabelsError(
            f"{data.folder}: not one recording can be compared with its asset's healthy state: {few[0]}",
            f"Record each asset healthy {MIN_RECORDINGS + 1} times or more ({USUAL_RECORDINGS + 1} are usual), and "
            "name it in a column asset of labels.csv",
        )
    means, spreads = (np.stack([getattr(one, name) for one in drawn]) for name in ("mean_db", "spread_db"))
    return replace(
        data.without(few),
        baselines=Baseline(means, spreads, min(one.recordings for one in drawn)),
        healthy=pool,
        notes={"twin": settings.twin.source, "baselines": "leave-one-out over healthy recordings of the same asset"},
    )


def _healthy_name(data: TrainingData, settings: Settings) -> str:
    name = data.classes[0]
    if name != settings.diagnosis.healthy and name.lower() not in HEALTHY_WORDS:
        raise LabelsError(
            f"{data.folder}: no label of {', '.join(data.classes)} means healthy, and change_cnn compares with it",
            "Name the healthy label with --healthy",
        )
    return name


def _healthy_pool(data: TrainingData, settings: Settings, progress: bool) -> HealthyPool:
    """Images of each recording in its healthy state: of its twin, or of itself if it is healthy."""
    name = _healthy_name(data, settings)
    layer = SpectrogramLayer(settings.spectrogram, data.sampling_rate_hz)
    found = {}
    for i, label in enumerate(tqdm(data.labels, desc="baselines", unit="recording", disable=not progress, delay=2)):
        if label == name:
            found[data.ids[i]] = layer_images(layer, data.windows[data.entry == i])
        elif settings.twin.source == "simulated":
            found[data.ids[i]] = layer_images(layer, _twin_windows(data, i, layer.n))
    return HealthyPool(found, dict(zip(data.ids, data.assets, strict=True)))


def _twin_windows(data: TrainingData, recording: int, n: int) -> NDArray[np.float32]:
    entry = data.entries[recording]
    twin = replace(entry, file=_twin(data.folder, entry.file.name)).load()
    if twin.sampling_rate_hz != data.sampling_rate_hz:
        twin = resample(twin, data.sampling_rate_hz)
    windows = cut_windows(twin, n)
    if len(windows) != np.count_nonzero(data.entry == recording):
        raise LabelsError(
            f"{_twin(data.folder, entry.file.name)}: {len(windows)} windows, the recording has another number",
            "Simulate recordings and twins together",
        )
    return windows


def change_data(data: TrainingData, recordings: NDArray[np.int64], settings: Settings) -> ChangeData:
    """Windows of these recordings as images, with what is known of them."""
    assert data.healthy is not None
    layer = SpectrogramLayer(settings.spectrogram, data.sampling_rate_hz)
    windows = data.windows_of(recordings)
    owner = data.entry[windows]
    place = np.searchsorted(np.unique(owner), owner)
    drawn = [
        [
            data.healthy.draw(data.assets[i], data.ids[i], np.random.default_rng([draw, i]))
            for i in np.unique(owner).tolist()
        ]
        for draw in range(BASELINE_DRAWS)
    ]
    images = layer_images(layer, data.windows[windows])
    twins, difference, votes = images, None, None
    if settings.twin.source == "simulated":
        twins = np.concatenate([data.healthy.images_db[data.ids[i]] for i in np.unique(owner)])
        difference = smooth_difference(images, twins, _noise_floor(data)[owner])
        classes = data.targets[owner].argmax(axis=1).astype(np.int8)[:, None, None]
        votes = np.where(np.abs(difference) > CHANGE_DB, classes, np.int8(-1))
    return ChangeData(
        images_db=images.astype(np.float16),
        healthy_db=twins.astype(np.float16),
        difference_db=None if difference is None else difference.astype(np.float16),
        targets=data.targets[owner],
        baselines_db=np.stack([np.stack([one.mean_db for one in draw])[place] for draw in drawn]),
        spreads_db=np.stack([np.stack([one.spread_db for one in draw])[place] for draw in drawn]),
        lines=HumLines(line_rows(layer), np.diff(layer.axes.frequency_hz)),
        votes=votes,
    )


def healthy_only(known: ChangeData) -> ChangeData:
    """The healthy images, again and again: with new changes each time, an epoch is as long as with all of them."""
    rows = np.resize(np.flatnonzero(known.targets[:, 0] == 1), len(known))
    return replace(
        known,
        images_db=known.images_db[rows],
        healthy_db=known.images_db[rows],
        targets=known.targets[rows],
        baselines_db=known.baselines_db[:, rows],
        spreads_db=known.spreads_db[:, rows],
    )


def _noise_floor(data: TrainingData) -> NDArray[np.float64]:
    """Power density of each recording's sensor noise, as the simulator wrote it down; 0 where it did not."""
    truth = data.folder / "truth.csv"
    if not truth.is_file():
        return np.zeros(len(data.files))
    with truth.open(newline="") as handle:
        noise = {Path(row["file"]).name: float(row["noise_rms"]) for row in csv.DictReader(handle)}
    return noise_floor(np.array([noise.get(file, 0.0) for file in data.files]), data.sampling_rate_hz)
