"""A small GAP-CNN for small real sets, and the changes to its images that keep it off the wrong evidence.

What a machine's fault does not depend on is varied at random in every step: the path from the fault to the sensor
(a smooth gain over frequency), the sensor's noise floor, the carrier band of an envelope, hidden stretches of time
and frequency. A penalty on the class maps themselves makes the network say little where little is to be said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn import functional

from camvib.augmentation.transforms import tilted, with_floor
from camvib.networks.place_cnn import PlaceCnn
from camvib.networks.row_linear import RowLinear


class FitRecipe(BaseModel):
    """How the network is fitted.

    `tilt_db` is the spread of a random smooth gain over frequency; `floor_db` the range of a random noise floor
    below the image's top; `mask` the greatest share of rows, and of columns, that is hidden; `sparsity` the weight
    of the mean absolute class map in the loss; `speed_jitter` the greatest relative stretch of a linear frequency
    axis that begins near 0: bearings slip, and a nominal speed is not the true one. `layers` says how the carrier
    bands of an envelope become one image.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["place_cnn", "row_linear"] = "place_cnn"
    layers: Literal["max", "mean"] = "max"
    widths: tuple[int, ...] = (16, 32, 32)
    kernel_rows: tuple[int, ...] = (5, 3, 3)
    waves: int = 4
    steps: int = 300
    batch_size: int = 24
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    tilt_db: float = 6.0
    floor_db: tuple[float, float] | None = (15.0, 50.0)
    mask: float = 0.2
    sparsity: float = 0.1
    speed_jitter: float = 0.0


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted network with the spread it was standardised with."""

    network: nn.Module
    spread: float
    recipe: FitRecipe

    def predict(self, layers_db: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Logits, maps and embeddings of images, (n, layers, rows, columns)."""
        parts = []
        with torch.inference_mode():
            for first in range(0, len(layers_db), 64):
                flat = _level_free(_one_image(layers_db[first : first + 64], self.recipe))
                output = self.network(torch.from_numpy((flat / self.spread).astype(np.float32)))
                parts.append([value.numpy() for value in (output.logits, output.maps, output.embedding)])
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def fit(
    layers_db: NDArray[np.float32], targets: NDArray[np.int64], classes: int, recipe: FitRecipe, seed: int
) -> Fitted:
    """Fit on images (n, layers, rows, columns) with class indices; each class is drawn equally often."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    spread = float(_level_free(_one_image(layers_db, recipe)).std()) or 1.0
    linear = recipe.network == "row_linear"
    network = (
        RowLinear(classes, layers_db.shape[2])
        if linear
        else PlaceCnn(classes, recipe.widths, recipe.kernel_rows, recipe.waves)
    )
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.steps)
    chance = 1.0 / np.bincount(targets, minlength=classes)[targets]
    for step in range(recipe.steps):
        rows = rng.choice(len(targets), recipe.batch_size, p=chance / chance.sum())
        image = augmented(layers_db[rows], recipe, rng) / spread
        output = network(torch.from_numpy(image.astype(np.float32)))
        loss = functional.cross_entropy(
            output.logits, torch.from_numpy(targets[rows]), label_smoothing=recipe.label_smoothing
        )
        # From the middle on: a penalty from the start lets whole classes die.
        late = max(0.0, 2 * step / recipe.steps - 1)
        loss = loss + late * recipe.sparsity * output.maps.abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return Fitted(network.eval(), spread, recipe)


def augmented(layers_db: NDArray[np.float32], recipe: FitRecipe, rng: np.random.Generator) -> NDArray[np.floating]:
    """Vary what a fault does not depend on; (n, layers, rows, columns) in dB → level-free (n, rows, columns)."""
    image = _some_layers(layers_db, recipe, rng)
    n, rows, columns = image.shape
    if recipe.speed_jitter:
        stretch = np.asarray(1 + rng.uniform(-recipe.speed_jitter, recipe.speed_jitter, n))
        image = np.stack([_stretched(image[k], float(stretch[k])) for k in range(n)])
    if recipe.tilt_db:
        image = tilted(image, recipe.tilt_db, rng)
    if recipe.floor_db:
        image = with_floor(image, recipe.floor_db, rng)
    image = _level_free(image)
    for one in image:
        for axis, size in ((0, rows), (1, columns)):
            width = int(rng.uniform(0, recipe.mask) * size)
            first = rng.integers(size - width + 1)
            one[(slice(None),) * axis + (slice(first, first + width),)] = 0.0
    return image


def _one_image(layers_db: NDArray[np.float32], recipe: FitRecipe) -> NDArray[np.float32]:
    image: NDArray[np.float32] = layers_db.max(axis=1) if recipe.layers == "max" else layers_db.mean(axis=1)
    return image


def _some_layers(layers_db: NDArray[np.float32], recipe: FitRecipe, rng: np.random.Generator) -> NDArray[np.floating]:
    """One image of a random choice of layers: which carrier band rings must not matter."""
    n, layers = layers_db.shape[:2]
    if layers == 1:
        return layers_db[:, 0].astype(np.float64)
    chosen = rng.random((n, layers)) < rng.uniform(2 / layers, 1, (n, 1))
    chosen[np.arange(n), rng.integers(layers, size=n)] = True
    chosen = chosen[:, :, None, None]
    if recipe.layers == "max":
        return np.where(chosen, layers_db, -np.inf).max(axis=1)
    return np.where(chosen, layers_db, 0.0).sum(axis=1) / chosen.sum(axis=1)


def _stretched(image: NDArray[np.floating], by: float) -> NDArray[np.floating]:
    """Read rows at other places, by linear interpolation; beyond the last row it holds."""
    at = np.minimum(np.arange(len(image)) * by, len(image) - 1.0)
    low = np.minimum(at.astype(int), len(image) - 2)
    part = (at - low)[:, None]
    return (1 - part) * image[low] + part * image[low + 1]


def _level_free(image: NDArray[np.floating]) -> NDArray[np.floating]:
    return image - image.mean(axis=(1, 2), keepdims=True)
