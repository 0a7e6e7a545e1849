"""What a logit is worth: temperature, and the distance beyond which a recording is unlike any known.

Fitted on validation groups, which the network did not train on; never on test groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.covariance import LedoitWolf

# A recording counts as unknown past this multiple of the distance that 99 % of known ones stay
# within: validation groups are few, so their quantile alone would reject too many good recordings.
UNKNOWN_MARGIN = 1.5
UNKNOWN_QUANTILE = 0.99
LEAST_HEALTHY = 30  # held-out healthy recordings: fewer tell nothing of rare alarms
MOST_MARGIN = 2.0  # a fault that is 7 times as likely as healthy is called, whatever one odd recording said


@dataclass(frozen=True, eq=False)
class Calibration:
    """Temperature and the class-conditional Gaussian that 'unknown' is measured with.

    Attributes
    ----------
    temperature : float
        Logits are divided by it [1]_.
    means : ndarray, shape (classes, features)
    precision : ndarray, shape (features, features)
        Inverse of the shrunk covariance that the classes share [2]_.
    unknown_above : float
        Distances above it are unlike anything trained on.
    healthy_margin : float
        Calibrated log odds by which a fault must exceed healthy to be called.

    References
    ----------
    .. [1] C. Guo et al. On Calibration of Modern Neural Networks. ICML 2017.
    .. [2] K. Lee et al. A Simple Unified Framework for Detecting Out-of-Distribution Samples. NeurIPS 2018.
    """

    temperature: float
    means: NDArray[np.floating]
    precision: NDArray[np.floating]
    unknown_above: float
    healthy_margin: float = 0.0

    def distance(self, embedding: NDArray[np.floating]) -> NDArray[np.floating]:
        """Mahalanobis distance to the nearest class, shape (n,), for embeddings (n, features)."""
        offset = embedding[:, None, :] - self.means[None]
        squared = np.einsum("ncf,fg,ncg->nc", offset, self.precision, offset)
        return np.sqrt(np.maximum(squared, 0.0)).min(axis=1)


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Temperature of least negative log likelihood; at least 1 when the data hold no mistake.

    A set without mistakes would ask for endless confidence, so it may not sharpen.
    """

    def loss(log_temperature: float) -> float:
        scores = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-scores[np.arange(len(targets)), targets].mean())

    best = float(np.exp(minimize_scalar(loss, bounds=(np.log(0.25), np.log(10)), method="bounded").x))
    return max(1.0, best) if (logits.argmax(axis=1) == targets).all() else best


def known_classes(embedding: NDArray[np.floating], targets: NDArray[np.integer]) -> Calibration:
    """Gaussians of the classes, to measure distances with; temperature 1, and no limit yet.

    Parameters
    ----------
    embedding : ndarray, shape (n, features)
    targets : ndarray, shape (n,)
        Index of the class, or of the combination of faults.
    """
    known = np.unique(targets)
    means = np.stack([embedding[targets == c].mean(axis=0) for c in known])
    centred = embedding - means[np.searchsorted(known, targets)]
    precision = LedoitWolf(assume_centered=True).fit(centred).precision_
    return Calibration(1.0, means, precision, np.inf)


def unknown_limit(distances: NDArray[np.floating]) -> float:
    """Distance beyond which a recording is unlike any known, from distances of known ones that were held out."""
    return UNKNOWN_MARGIN * float(np.quantile(distances, UNKNOWN_QUANTILE))


def healthy_margin(odds: NDArray[np.floating], false_alarms: float) -> float:
    """Log odds that healthy recordings exceed by chance alone in a share `false_alarms` of cases.

    Parameters
    ----------
    odds : ndarray, shape (n,)
        Of the likeliest fault against healthy, of healthy recordings of groups that were held out.
    false_alarms : float

    Returns
    -------
    float
        From 0 to `MOST_MARGIN`; 0 where fewer than `LEAST_HEALTHY` recordings cannot tell. The order statistic is that
        of split conformal prediction [1]_. Its share would hold for the next recording if recordings were exchangeable.
        Those of one machine are not, so on new machines it may be passed (docs/log.md has by how much).

    References
    ----------
    .. [1] J. Lei et al. Distribution-free predictive inference for regression. JASA 113, 2018, section 2.2.
    """
    n = len(odds)
    if n < LEAST_HEALTHY:
        return 0.0
    place = min(n, int(np.ceil((n + 1) * (1 - false_alarms))))
    return float(np.clip(np.sort(odds)[place - 1], 0.0, MOST_MARGIN))
