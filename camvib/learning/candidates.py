"""What is worth a try on a folder: images and networks that fit the rate, the groups, the baselines, the shaft speed.

The list comes from docs/log.md. Which of them is taken is told by the training groups alone, see
`camvib.learning.choice`; the name of a data set decides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from camvib.images.baseline import MIN_RECORDINGS
from camvib.learning.data import TrainingData
from camvib.learning.healthy_pairs import twin_file
from camvib.settings import Settings

FEW_GROUPS = 5  # of a label: below it whatever sees texture learns the machines
_BEARING_WORDS = re.compile(
    r"inner|outer|ball|bearing|(\b|_)race|bpf[io]|^(ir|or|b)[\W\d_]*$|^(ir|or)(\d|fault|@|_)", re.IGNORECASE
)
_LEAST_CARRIER_RATE_HZ = 4000.0  # below it no resonance of a bearing is recorded
_LEAST_ENVELOPE_S = 0.5  # shorter windows hold too few turns of a shaft
_SLIPS = (0.0, 0.01, 0.02, 0.03)  # bearings slip by one to two per cent


@dataclass(frozen=True)
class Candidate:
    """A complete set of settings to try.

    Attributes
    ----------
    image : str
        In words, e.g. "envelope at shaft speed, mean of bands".
    network : str
        In words, e.g. "row_linear, slip 2 %".
    settings : Settings
    """

    image: str
    network: str
    settings: Settings


def candidates(data: TrainingData, settings: Settings, only: str | None = None) -> list[Candidate]:
    """List what fits the data, the likeliest first.

    Parameters
    ----------
    data : TrainingData
    settings : Settings
        What the user set; where `model.name` is not ``auto``, it is the only candidate.
    only : str, optional
        Name of the network to keep to.
    """
    if settings.model.name != "auto":
        return [Candidate(settings.image.kind, settings.model.name, settings)]
    if settings.model.head == "sigmoid":
        found = [_gap_cnn(settings)]
    else:
        found = _changes(data, settings)
        envelope = _envelopes(data, settings) if _has_carriers(data) else []
        bearings = any(_BEARING_WORDS.search(label) for label in data.classes)
        found += [*envelope, *_signals(data, settings)] if bearings else [*_signals(data, settings), *envelope]
    if only is None:
        return found
    return [one for one in found if one.settings.model.name == only] or [
        Candidate(settings.image.kind, only, settings.with_(model={"name": only}))
    ]


def _changes(data: TrainingData, settings: Settings) -> list[Candidate]:
    """Comparison with the asset's healthy baseline, where most of every label, or their twins, can have one."""
    if not data.healthy:
        return []
    healthy: dict[str, int] = {}
    for asset, label in zip(data.assets, data.labels, strict=True):
        healthy[asset] = healthy.get(asset, 0) + (label == data.healthy)
    comparable: dict[str, list[bool]] = {}
    for asset, label in zip(data.assets, data.labels, strict=True):
        comparable.setdefault(label, []).append(healthy[asset] - (label == data.healthy) >= MIN_RECORDINGS)
    twins = all(twin_file(data, entry).is_file() for entry in data.entries)
    if any(sum(can) < 0.5 * len(can) for can in comparable.values()) and not twins:
        return []
    chosen = settings.with_(model={"name": "change_cnn"})
    return [Candidate("spectrogram against the healthy baseline", "change_cnn", chosen)]


def _has_carriers(data: TrainingData) -> bool:
    return data.sampling_rate_hz >= _LEAST_CARRIER_RATE_HZ and data.window_s >= _LEAST_ENVELOPE_S


# With few specimens a class, whatever sees texture learns the specimens: one weight a row, and little else.
_NARROW: dict[str, Any] = {
    "steps": 150, "epochs": 5, "patience": None, "batch_size": 24, "learning_rate": 0.3, "validation_fraction": 0.0,
}  # fmt: skip
_NARROW_CHANGES: dict[str, Any] = {"tilt_db": 3.0, "mask_fraction": 0.2, "time_shift": False, "noise_db": 0.0}
_PLACE: dict[str, Any] = {
    "steps": 300, "epochs": 10, "patience": None, "batch_size": 24, "learning_rate": 3e-3, "label_smoothing": 0.05,
    "sparsity": 0.1, "validation_fraction": 0.0,
}  # fmt: skip
_PLACE_CHANGES: dict[str, Any] = {
    "tilt_db": 6.0, "floor_db": (15.0, 50.0), "mask_fraction": 0.2, "time_shift": False,
}  # fmt: skip
_PLACE_CHANNELS = (16, 32, 32)


def _signals(data: TrainingData, settings: Settings) -> list[Candidate]:
    """Lines close together: long frames, windows that start anywhere, an axis without empty decades."""
    image = {"columns": 16, "fft_share": 0.45, "frequency_axis": "geometric"}
    narrow = Candidate(
        "spectrogram, long frames",
        "row_linear, price on its maps",
        _with(
            settings,
            image,
            "row_linear",
            {**_NARROW, "overlap": 0.97, "steps": 300, "sparsity": 1.0},
            {**_NARROW_CHANGES, "tilt_db": 6.0},
        ),
    )
    place = Candidate(
        "spectrogram, long frames",
        "place_cnn, price on its maps",
        _with(settings, image, "place_cnn", {**_PLACE, "overlap": 0.97, "steps": 500, "sparsity": 3.0}, _PLACE_CHANGES),
    )
    few = data.fewest_groups < FEW_GROUPS
    return [narrow, place] if few else [_gap_cnn(settings), place, narrow]


def _gap_cnn(settings: Settings) -> Candidate:
    return Candidate("spectrogram", "gap_cnn", settings.with_(model={"name": "gap_cnn"}))


def _envelopes(data: TrainingData, settings: Settings) -> list[Candidate]:
    """What repeats, whichever carrier band rings."""
    base = {"kind": "envelope", "window_s": 2.0, "fft_s": 1.0, "rows": 256, "columns": 8, "whiten": 41}

    def one(
        image: str,
        network: str,
        of_image: dict[str, Any],
        name: str,
        training: dict[str, Any],
        changes: dict[str, Any],
        **model: tuple[int, ...],
    ) -> Candidate:
        over = {**training, "overlap": 0.5}
        return Candidate(image, network, _with(settings, {**base, **of_image}, name, over, changes, **model))

    mean, largest = {"layers": "mean"}, {"layers": "max"}
    found = []
    if data.shaft_hz is not None:
        order = (0.02, *(slip for slip in _SLIPS if slip != 0.02)) if data.fewest_groups < FEW_GROUPS else (0.02,)
        found = [
            one(
                "envelope at shaft speed, mean of bands", f"row_linear, slip {slip:.0%}",
                {**mean, "at_shaft_speed": True}, "row_linear", _NARROW, {**_NARROW_CHANGES, "speed_jitter": slip},
            )
            for slip in order
        ]  # fmt: skip
    found += [
        one("envelope, mean of bands", "row_linear", mean, "row_linear", _NARROW, _NARROW_CHANGES),
        one("envelope, largest of bands", "row_linear", largest, "row_linear", _NARROW, _NARROW_CHANGES),
    ]
    if data.fewest_groups >= FEW_GROUPS:
        return [*found, one("envelope, mean of bands", "place_cnn", mean, "place_cnn", _PLACE, _PLACE_CHANGES,
                            channels=_PLACE_CHANNELS)]  # fmt: skip
    plain = {**_NARROW_CHANGES, "tilt_db": 0.0, "mask_fraction": 0.0}
    return [
        *found,
        one("envelope, mean of bands", "row_linear, images as they are", mean, "row_linear", _NARROW, plain),
        one("envelope, mean of bands", "place_cnn", mean, "place_cnn", _PLACE, _PLACE_CHANGES,
            channels=_PLACE_CHANNELS),
    ]  # fmt: skip


def _with(
    settings: Settings, image: dict[str, Any], network: str, training: dict[str, Any], changes: dict[str, Any],
    **model: tuple[int, ...],
) -> Settings:  # fmt: skip
    augmentation = settings.training.augmentation.model_copy(update=changes)
    # What the user set for all images stays: the band and the length of a window.
    user = settings.image.model_dump(exclude_unset=True)
    kept: dict[str, Any] = {name: user[name] for name in ("low_hz", "high_hz", "window_s") if name in user}
    if network == "place_cnn":
        model.setdefault("channels", _PLACE_CHANNELS)
    return settings.with_(
        image={**image, **kept},
        model={"name": network, **model},
        training={**training, "augmentation": augmentation.model_dump()},
    )
