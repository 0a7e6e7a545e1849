"""Fit ``change_cnn`` on a labelled folder: each recording's baseline, the twin, the class maps.

A twin is learned from simulated pairs where the folder holds each recording's healthy twin (``twins/``, written by
``camvib simulate``); a plant, which has none, learns it from synthetic changes on its healthy recordings.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn
from tqdm import tqdm

from camvib.baseline import MIN_RECORDINGS, USUAL_RECORDINGS, Baseline, HealthyPool
from camvib.change_training import ChangeData, ChangeTraining, HumLines, train_classes, train_twin
from camvib.errors import LabelsError, SettingsError, SignalError
from camvib.evaluation.splits import Split
from camvib.fitting import OnEpoch, class_weights
from camvib.inference import HEALTHY_WORDS, Diagnoser, layer_images
from camvib.mains_lines import line_rows
from camvib.models import ChangeNetwork
from camvib.quality import resample
from camvib.settings import Settings
from camvib.simulation.twins import noise_floor
from camvib.spectrograms import SpectrogramLayer
from camvib.training_data import TrainingData, cut_windows
from camvib.twin import CHANGE_DB

TWINS = "twins"
BASELINE_DRAWS = 3  # a baseline of five recordings is itself noisy: training sees several
_TWIN_HUM, _CLASS_HUM = 0.1, 0.05


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


def fit_change(
    data: TrainingData,
    split: Split,
    settings: Settings,
    out: Path,
    *,
    fingerprint: str,
    resume: bool,
    on_epoch: OnEpoch | None,
    progress: bool,
) -> Diagnoser:
    """Fit twin and class maps on the training groups; a killed training goes on from its last finished epoch."""
    training = settings.training
    common = {
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay,
        "seed": training.seed,
        "widths": settings.twin.widths,
    }
    for_twin = ChangeTraining(epochs=settings.twin.epochs, hum_share=_TWIN_HUM, **common)  # type: ignore[arg-type]
    for_classes = replace(for_twin, epochs=settings.twin.class_epochs, hum_share=_CLASS_HUM)
    known = _change_data(data, split.train, settings)
    checkpoints = out / "checkpoints" / fingerprint
    if not resume:
        for stage in ("twin", "classes"):
            (checkpoints / stage / "last.ckpt").unlink(missing_ok=True)
    history = _History(out, for_twin.epochs, for_classes.epochs, on_epoch, progress)
    pairs = known if known.difference_db is not None else _healthy_only(known)
    twin = train_twin(pairs, for_twin, history.twin, checkpoints / "twin")
    weights = class_weights(known.targets, False) if training.class_weights else None
    network = train_classes(twin, known, for_classes, history.classes, checkpoints / "classes", weights)
    history.bar.close()
    diagnoser = Diagnoser(len(data.classes), settings, data.sampling_rate_hz)
    assert isinstance(diagnoser.network, ChangeNetwork)
    diagnoser.network.change.load_state_dict(network.state_dict())
    return diagnoser.eval()


def _change_data(data: TrainingData, recordings: NDArray[np.int64], settings: Settings) -> ChangeData:
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


def _healthy_only(known: ChangeData) -> ChangeData:
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


def smooth_difference(
    image_db: NDArray[np.floating], twin_db: NDArray[np.floating], floor: NDArray[np.floating]
) -> NDArray[np.float32]:
    """10 log10 of the ratio of the 3 × 3 smoothed powers of images, (n, rows, columns); 0 where both are below `floor`.

    `floor` is a power density, shape (n,).
    """
    powers = [ndimage.uniform_filter(10 ** (db.astype(np.float64) / 10), (1, 3, 3)) for db in (image_db, twin_db)]
    seen = np.maximum(*powers) > floor[:, None, None]
    return np.where(seen, 10 * np.log10(powers[0] / powers[1]), 0.0).astype(np.float32)


def _noise_floor(data: TrainingData) -> NDArray[np.float64]:
    """Power density of each recording's sensor noise, as the simulator wrote it down; 0 where it did not."""
    truth = data.folder / "truth.csv"
    if not truth.is_file():
        return np.zeros(len(data.files))
    with truth.open(newline="") as handle:
        noise = {Path(row["file"]).name: float(row["noise_rms"]) for row in csv.DictReader(handle)}
    return noise_floor(np.array([noise.get(file, 0.0) for file in data.files]), data.sampling_rate_hz)


class _History:
    """Epochs of both stages, counted on, to history.csv, to the caller and to the progress bar."""

    def __init__(self, out: Path, twin: int, classes: int, on_epoch: OnEpoch | None, progress: bool) -> None:
        self.path, self.first, self.on_epoch = out / "history.csv", twin, on_epoch
        self.bar = tqdm(total=twin + classes, desc="train", unit="epoch", disable=not progress)

    def twin(self, epoch: int, network: nn.Module, loss: float) -> None:
        """An epoch of the twin."""
        self._write(epoch, {"twin_loss": loss})

    def classes(self, epoch: int, network: nn.Module, loss: float) -> None:
        """An epoch of the class maps."""
        self._write(self.first + epoch, {"class_loss": loss})

    def _write(self, epoch: int, metrics: dict[str, float]) -> None:
        behind = pd.read_csv(self.path) if epoch and self.path.is_file() else pd.DataFrame({"epoch": []}, dtype=int)
        row = pd.DataFrame([{"epoch": epoch, **metrics}])
        table = pd.concat([behind[behind.epoch < epoch], row]) if len(behind) else row
        table.reindex(columns=["epoch", "twin_loss", "class_loss"]).to_csv(self.path, index=False)
        self.bar.update(epoch + 1 - self.bar.n)
        self.bar.set_postfix({name: f"{value:.3f}" for name, value in metrics.items()})
        if self.on_epoch:
            self.on_epoch(epoch, metrics)
