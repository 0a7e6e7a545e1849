"""Changes to training windows and their images that a fault does not depend on.

Gain, noise, the moment a window starts; the path from the fault to the sensor (a smooth gain over frequency), the
sensor's noise floor, hidden stretches of time and frequency. docs/log.md says what each did on measured recordings.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from camvib.settings import AugmentationSettings


def augment_waveform(waveform: Tensor, settings: AugmentationSettings) -> Tensor:
    """Change what a fault does not depend on: gain, noise, and when the window starts.

    Parameters
    ----------
    waveform : Tensor, shape (batch, n)
    """
    batch, n = waveform.shape
    device = waveform.device
    if settings.time_shift:
        # Circular: the one seam is a transient that every class gets alike.
        start = torch.randint(n, (batch, 1), device=device)
        waveform = waveform.gather(1, (torch.arange(n, device=device)[None] + start) % n)
    level = waveform.std(dim=1, keepdim=True)
    noise_db = settings.noise_db - 20 * torch.rand(batch, 1, device=device)
    waveform = waveform + level * 10 ** (noise_db / 20) * torch.randn_like(waveform)
    gain_db = settings.gain_db * (2 * torch.rand(batch, 1, device=device) - 1)
    return waveform * 10 ** (gain_db / 20)


def augment_image(image_db: Tensor, settings: AugmentationSettings) -> Tensor:
    """Change the path to the sensor and its noise floor; nothing where both are off.

    Parameters
    ----------
    image_db : Tensor, shape (batch, rows, columns)
        Decibels, row 0 the lowest frequency.
    """
    if not settings.tilt_db and settings.floor_db is None:
        return image_db
    rng = np.random.default_rng(int(torch.randint(2**31, ()).item()))  # as repeatable as torch's own numbers
    image: NDArray[np.floating] = image_db.cpu().numpy().astype(np.float64)
    if settings.tilt_db:
        image = tilted(image, settings.tilt_db, rng)
    if settings.floor_db is not None:
        image = with_floor(image, settings.floor_db, rng)
    return torch.from_numpy(image).to(image_db)


def tilted(image_db: NDArray[np.floating], spread_db: float, rng: np.random.Generator) -> NDArray[np.floating]:
    """Add a random smooth gain over frequency, of that spread, to each image, (n, rows, columns)."""
    n, rows, _ = image_db.shape
    noise = ndimage.gaussian_filter1d(rng.standard_normal((n, 2 * rows)), rows / 10, axis=1)
    curve = noise[:, rows // 2 :][:, :rows]
    return image_db + spread_db * (curve / curve.std())[:, :, None]


def with_floor(
    image_db: NDArray[np.floating], below_top_db: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.floating]:
    """Add white noise at a random level below the top of each image, (n, rows, columns)."""
    top = np.quantile(image_db, 0.995, axis=(1, 2), keepdims=True)
    floor = top - rng.uniform(*below_top_db, (len(image_db), 1, 1))
    power = 10 ** (image_db / 10) + 10 ** (floor / 10) * rng.exponential(1.0, image_db.shape)
    return np.asarray(10 * np.log10(power))


def mask_image(image: Tensor, fraction: float) -> Tensor:
    """Set one band and one stretch of time of each standardised image to its mean, 0.

    Parameters
    ----------
    image : Tensor, shape (batch, rows, columns)
    fraction : float
        Greatest share of rows, and of columns, that is masked.
    """
    for axis in (1, 2):
        size = image.shape[axis]
        width = (torch.rand(len(image), 1, device=image.device) * fraction * size).round()
        first = torch.rand(len(image), 1, device=image.device) * (size - width)
        place = torch.arange(size, device=image.device)[None]
        hidden = (place >= first) & (place < first + width)
        image = image.masked_fill(hidden[:, :, None] if axis == 1 else hidden[:, None, :], 0.0)
    return image
