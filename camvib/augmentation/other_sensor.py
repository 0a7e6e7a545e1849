"""The same motion seen by another sensor: a smooth gain over frequency, and noise of its own."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from camvib.augmentation.lines import SPECKLE_DB, Pair, speckle
from camvib.images.difference import mean_3x3


def other_sensor(pair: Pair, rng: np.random.Generator) -> Pair:
    """See the same motion by another sensor: a smooth gain over frequency, and on half of them more noise of its own.

    Recording, twin and baseline change together; the difference shrinks where the noise covers it.
    """
    rows, columns = pair.image_db.shape
    place = np.linspace(-1, 1, rows)
    bumps = ndimage.gaussian_filter1d(rng.standard_normal(rows), rng.uniform(5, 30), mode="reflect")
    gain = rng.normal(0, 6) * place + rng.uniform(0, 4) * bumps / (bumps.std() + 1e-6)
    if rng.random() < 0.3:
        gain = gain - 10 * rng.integers(1, 4) * np.log10(1 + np.exp((place - rng.uniform(-0.2, 1)) * 8))
    gain = gain.astype(np.float32)
    image, twin = pair.image_db + gain[:, None], pair.healthy_db + gain[:, None]
    mean, spread, difference = pair.baseline_db + gain - gain.mean(), pair.spread_db, pair.difference_db
    if rng.random() < 0.5:
        colour = rng.normal(0, 5) * place + rng.uniform(0, 4) * rng.standard_normal() * bumps / (bumps.std() + 1e-6)
        level = np.quantile(twin, rng.uniform(0.02, 0.4)) + colour - rng.uniform(0, 10)
        steady = (10 ** (level / 10)).astype(np.float32)
        noise = steady[:, None] * speckle((rows, columns), rng)
        smooth, ratio = mean_3x3(10 ** (twin / 10)), 10 ** (difference / 10)
        more = mean_3x3(noise)
        difference = 10 * np.log10((ratio * smooth + more) / (smooth + more))
        known = 10 ** ((mean + SPECKLE_DB + twin.mean()) / 10)
        rise = 10 * np.log10(1 + steady / known)
        image, twin = (10 * np.log10(10 ** (db / 10) + noise) for db in (image, twin))
        mean = mean + rise - rise.mean()
        share = steady / (steady + known)
        spread = spread * (1 - share) + 5.0 * share
    return Pair(*(np.asarray(value, np.float32) for value in (image, twin, difference, mean, spread)))
