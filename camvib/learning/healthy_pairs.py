"""What ``change_cnn`` compares with in training: other healthy recordings of the asset, and healthy twins.

A twin comes with simulated recordings (``twins/``, written by ``camvib simulate``); a plant has none.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camvib.augmentation.lines import ToneRows
from camvib.augmentation.mains_hum import line_rows
from camvib.augmentation.samples import ChangeData, HumLines
from camvib.errors import LabelsError, SettingsError
from camvib.images.baseline import MIN_RECORDINGS, USUAL_RECORDINGS, Baseline, HealthyPool
from camvib.images.difference import smooth_difference
from camvib.images.layer import layer_images
from camvib.learning.data import TrainingData
from camvib.learning.windows import Rows, Windows, window_starts
from camvib.networks.twin import CHANGE_DB
from camvib.recordings.entries import Entry
from camvib.recordings.resampling import resample
from camvib.settings import Settings
from camvib.simulation.twins import noise_floor

TWINS = "twins"
BASELINE_DRAWS = 3  # a baseline of five recordings is itself noisy: training sees several


@dataclass(frozen=True, eq=False)
class HealthyPairs:
    """Recordings with what they look like when healthy.

    Attributes
    ----------
    data : TrainingData
    windows : Windows
        Of all recordings.
    pool : HealthyPool
        Healthy images to draw baselines from: never the recording that is judged.
    source : str
        Where changes to learn from come from: ``simulated``, ``synthetic`` or ``none``.
    alone : frozenset of int
        Recordings whose asset has too few other healthy ones.
    """

    data: TrainingData
    windows: Windows
    pool: HealthyPool
    source: str
    alone: frozenset[int]

    @classmethod
    def of(cls, data: TrainingData, windows: Windows, settings: Settings) -> HealthyPairs:
        """Collect them.

        Raises
        ------
        LabelsError
            There is no healthy class, or not one asset has enough healthy recordings.
        SettingsError
            Simulated twins are asked for, and some recordings have none.
        """
        if not data.healthy:
            raise LabelsError(
                f"{data.folder}: no label of {', '.join(data.classes)} means healthy, and change_cnn compares with it",
                "Name the healthy label with --healthy",
            )
        source = _settle_source(data, settings)
        found = {}
        for i, label in enumerate(data.labels):
            if label == data.healthy:
                found[data.recordings[i].id] = windows.images_db(windows.rows([i]))
            elif source == "simulated":
                found[data.recordings[i].id] = _twin_images(data, windows, i)
        pool = HealthyPool(found, dict(zip(data.ids, data.assets, strict=True)))
        few = [len(pool.others(asset, one)) < MIN_RECORDINGS for asset, one in zip(data.assets, data.ids, strict=True)]
        if all(few):
            count = len(pool.others(data.assets[0], data.ids[0]))
            raise LabelsError(
                f"{data.folder}: not one recording can be compared with its asset's healthy state: asset "
                f"{data.assets[0]} has {count} other healthy recordings, its baseline takes {MIN_RECORDINGS}",
                f"Record each asset healthy {MIN_RECORDINGS + 1} times or more ({USUAL_RECORDINGS + 1} are usual), and "
                "name it in a column asset of labels.csv",
            )
        return cls(data, windows, pool, source, frozenset(np.flatnonzero(few).tolist()))

    def baseline(self, recording: int, draw: int = 0) -> Baseline:
        """Baseline of a recording's asset, from other recordings; of all assets together where it is alone."""
        rng, identity = np.random.default_rng([draw, recording]), self.data.recordings[recording].id
        if recording in self.alone:
            others = [images for one, images in self.pool.images_db.items() if one != identity]
            return Baseline.of(np.concatenate(others), max(MIN_RECORDINGS, len(others)))
        return self.pool.draw(self.data.assets[recording], identity, rng)

    def why_alone(self, recording: int) -> str:
        """Say what a recording that is `alone` lacks."""
        asset = self.data.assets[recording]
        count = len(self.pool.others(asset, self.data.ids[recording]))
        return f"asset {asset} has {count} other healthy recordings, its baseline takes {MIN_RECORDINGS}"

    def baselines(self, recordings: Rows, draw: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and spread for recordings, one each, (n, rows)."""
        unique, place = np.unique(recordings, return_inverse=True)
        drawn = [self.baseline(int(i), draw) for i in unique]
        return np.stack([one.mean_db for one in drawn])[place], np.stack([one.spread_db for one in drawn])[place]

    def change_data(self, rows: Rows) -> ChangeData:
        """Windows as images, with what is known of them."""
        data, owner = self.data, self.windows.entry[rows]
        images = self.windows.images_db(rows)
        twins, difference, votes = images, None, None
        if self.source == "simulated":
            twins = self._healthy_images(rows)
            difference = smooth_difference(images, twins, _noise_floor(data)[owner])
            classes = data.targets[owner].argmax(axis=1).astype(np.int8)[:, None, None]
            votes = np.where(np.abs(difference) > CHANGE_DB, classes, np.int8(-1))
        drawn = [self.baselines(owner, draw) for draw in range(BASELINE_DRAWS)]
        layer = self.windows.layer
        return ChangeData(
            images_db=images.astype(np.float16),
            healthy_db=twins.astype(np.float16),
            difference_db=None if difference is None else difference.astype(np.float16),
            targets=data.targets[owner],
            baselines_db=np.stack([mean for mean, _ in drawn]),
            spreads_db=np.stack([spread for _, spread in drawn]),
            lines=HumLines(line_rows(layer), np.diff(layer.axes.frequency_hz)),
            votes=votes,
            tones=ToneRows.of(layer),
        )

    def _healthy_images(self, rows: Rows) -> NDArray[np.float32]:
        """Image of each window's healthy twin: of a recording's windows in their order."""
        owner = self.windows.entry
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        return np.stack([self.pool.images_db[self.data.recordings[owner[row]].id][place[row]] for row in rows])


def twin_file(data: TrainingData, entry: Entry) -> Path:
    """Where a recording's healthy twin lies, if it has one."""
    return data.folder / TWINS / entry.file.name


def _settle_source(data: TrainingData, settings: Settings) -> str:
    twin = settings.twin
    missing = [entry.file.name for entry in data.entries if not twin_file(data, entry).is_file()]
    if twin.source == "simulated" and missing:
        raise SettingsError(
            f"{data.folder / TWINS}: {len(missing)} of {len(data.files)} recordings have no twin, e.g. {missing[0]}",
            'Simulate them with twins, or set [twin] source = "synthetic"',
        )
    if twin.source != "auto":
        return twin.source
    if not missing:
        return "simulated"
    return "none" if twin.start == "shipped" else "synthetic"


def _twin_images(data: TrainingData, windows: Windows, recording: int) -> NDArray[np.float32]:
    entry, layer = data.entries[recording], windows.layer
    file = twin_file(data, entry)
    twin = replace(entry, file=file).load()
    if twin.sampling_rate_hz != data.sampling_rate_hz:
        twin = resample(twin, data.sampling_rate_hz)
    own = windows.rows([recording])
    starts = window_starts(len(twin.samples), layer.n, 0.0, len(own))
    if len(starts) != len(own):
        raise LabelsError(
            f"{file}: {len(starts)} windows, the recording has {len(own)}", "Simulate recordings and twins together"
        )
    cut = np.stack([np.asarray(twin.samples[start : start + layer.n], np.float32) for start in starts])
    return layer_images(layer, cut)


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
        return np.zeros(len(data))
    with truth.open(newline="") as handle:
        noise = {Path(row["file"]).name: float(row["noise_rms"]) for row in csv.DictReader(handle)}
    names = (Path(file).name for file in data.files)
    return noise_floor(np.array([noise.get(name, 0.0) for name in names]), data.sampling_rate_hz)
