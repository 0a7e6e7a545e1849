"""How each set is looked at: recipes to choose from by training recordings alone."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from camvib.evaluation.real.network import FitRecipe
from camvib.images.envelope import ImageRecipe

_BEARING_WORDS = re.compile(
    r"inner|outer|ball|bearing|(\b|_)race|bpf[io]|^(ir|or|b)[\W\d_]*$|^(ir|or)(\d|fault|@|_)", re.IGNORECASE
)


class Recipe(BaseModel):
    """Images, network, and what else is measured.

    `transient_s`: evidence in the first seconds of a recording outside the catalog's bands is counted apart.
    `life`: the distance to the healthy class is followed over a specimen's life.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: ImageRecipe = ImageRecipe()
    fit: FitRecipe = FitRecipe()
    transient_s: float = 0.0
    life: bool = False

    def describe(self) -> str:
        """What differs from the default, in one line."""
        image, fit = (part.model_dump(exclude_defaults=True) for part in (self.image, self.fit))
        network = fit.pop("network", self.fit.network)
        return ", ".join([network, *(f"{name} {value}" for name, value in {**image, **fit}.items())])


# With few specimens a class, whatever sees texture learns the specimens.
_NARROW = FitRecipe(
    network="row_linear", layers="mean", learning_rate=0.3, steps=150, label_smoothing=0.0, tilt_db=3.0, floor_db=None,
    sparsity=0.0,
)  # fmt: skip
_FEW_GROUPS = 5

_ENVELOPE = ImageRecipe(window_s=2.0, fft_s=1.0, rows=256, columns=8, envelope=True, whiten=41)
_ENVELOPE_HZ = _ENVELOPE.model_copy(update={"shaft_axis": False})
_CNN = FitRecipe(layers="mean")
# All that docs/log.md tried on CWRU and a recipe can express; which of them count is told by the training sizes alone.
_CWRU = (
    Recipe(image=_ENVELOPE_HZ, fit=_NARROW),
    Recipe(image=_ENVELOPE_HZ, fit=_NARROW.model_copy(update={"layers": "max"})),
    Recipe(image=_ENVELOPE_HZ, fit=_NARROW.model_copy(update={"tilt_db": 0.0, "mask": 0.0})),
    *(
        Recipe(image=_ENVELOPE, fit=_NARROW.model_copy(update={"speed_jitter": jitter}))
        for jitter in (0.0, 0.01, 0.02, 0.03)
    ),
    Recipe(image=_ENVELOPE_HZ, fit=_CNN),
    Recipe(image=_ENVELOPE_HZ, fit=FitRecipe()),
    Recipe(image=_ENVELOPE_HZ, fit=_CNN.model_copy(update={"kernel_rows": (1, 1, 1)})),
)
# Bearings slip by one to two per cent.
_BEARING = Recipe(image=_ENVELOPE, fit=_NARROW.model_copy(update={"speed_jitter": 0.02}))
_BEARING_LARGEST = Recipe(image=_ENVELOPE, fit=_BEARING.fit.model_copy(update={"layers": "max"}))
# Lines close together: long frames, and windows that start anywhere.
_LINES = Recipe(image=ImageRecipe(overlap=0.97, fft_share=0.45), fit=FitRecipe(sparsity=3.0))
_LEAST_CARRIER_RATE_HZ = 4000.0  # below it no resonance of a bearing is recorded

_RECIPES = {
    # Lines 3 to 4 Hz apart in dwells of one second.
    "dropbear8": (
        Recipe(
            image=ImageRecipe(window_s=0.9, overlap=0.97, fft_s=0.4),
            fit=FitRecipe(steps=500, sparsity=3.0),
            transient_s=0.2,
        ),
    ),
    "cwru": _CWRU,
    "pump_motor_kafeel": (Recipe(image=ImageRecipe(window_s=2.0, fft_s=0.5), fit=_NARROW),),
    "femto_bearing": (Recipe(image=ImageRecipe(window_s=0.1, fft_s=0.025), life=True),),
    "bistablex_cantilever": (Recipe(image=ImageRecipe(window_s=16.0, fft_s=4.0, rows=96)),),
}


def recipes_for(name: str, labels: list[str], groups: list[str], sampling_rate_hz: float) -> tuple[Recipe, ...]:
    """Recipes to choose from, the likeliest first: it is taken where training recordings cannot tell.

    Those of a known set; for another one the envelope where the rate holds a bearing's resonance, first where labels
    speak of bearing parts; the signal itself with convolutions, and with one weight a row, which comes first where a
    label has few groups.
    """
    if name in _RECIPES:
        return _RECIPES[name]
    seen: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        seen.setdefault(label, set()).add(group)
    few = min(len(found) for found in seen.values()) < _FEW_GROUPS
    narrow = Recipe(image=_LINES.image, fit=_NARROW)
    signal = (narrow, _LINES) if few else (_LINES, narrow)
    if sampling_rate_hz < _LEAST_CARRIER_RATE_HZ:
        return signal
    envelope = (_BEARING, _BEARING_LARGEST)
    bearings = any(_BEARING_WORDS.search(label) for label in labels)
    return (*envelope, *signal) if bearings else (*signal, *envelope)
