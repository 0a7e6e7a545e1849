"""How each public set is looked at. None of it was chosen on the recordings that a figure is reported for."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict

from camvib.evaluation.real_images import ImageRecipe
from camvib.evaluation.real_network import FitRecipe

_BEARING_WORDS = re.compile(r"inner|outer|\bball|bearing|\brace\b|bpf[io]", re.IGNORECASE)


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


# With few specimens a class, whatever sees texture learns the specimens; chosen on CWRU by training on one fault size
# and testing on another, see docs/log.md.
_NARROW = FitRecipe(
    network="row_linear", layers="mean", learning_rate=0.3, steps=150, label_smoothing=0.0, tilt_db=3.0, floor_db=None,
    sparsity=0.0,
)  # fmt: skip
_FEW_GROUPS = 5

_BEARING = Recipe(
    image=ImageRecipe(window_s=2.0, fft_s=1.0, rows=256, columns=8, envelope=True, whiten=41),
    fit=_NARROW.model_copy(update={"speed_jitter": 0.02}),  # bearings slip by one to two per cent
)

_RECIPES = {
    # Lines 3 to 4 Hz apart in dwells of one second: long frames, and windows that start anywhere in a dwell.
    "dropbear8": Recipe(
        image=ImageRecipe(window_s=0.9, overlap=0.97, fft_s=0.4),
        fit=FitRecipe(steps=500, sparsity=3.0),
        transient_s=0.2,
    ),
    "cwru": _BEARING,
    "pump_motor_kafeel": Recipe(image=ImageRecipe(window_s=2.0, fft_s=0.5), fit=_NARROW),
    "femto_bearing": Recipe(image=ImageRecipe(window_s=0.1, fft_s=0.025), life=True),
    "bistablex_cantilever": Recipe(image=ImageRecipe(window_s=16.0, fft_s=4.0, rows=96)),
}


def recipe_for(name: str, labels: list[str], groups: list[str]) -> Recipe:
    """Recipe of a known set; for another by its labels and groups.

    The envelope where labels speak of bearing parts, else the signal itself; one weight a row where a label has
    few groups, else convolutions.
    """
    if name in _RECIPES:
        return _RECIPES[name]
    if any(_BEARING_WORDS.search(label) for label in labels):
        return _BEARING
    seen: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        seen.setdefault(label, set()).add(group)
    few = min(len(found) for found in seen.values()) < _FEW_GROUPS
    return Recipe(fit=_NARROW) if few else Recipe()
