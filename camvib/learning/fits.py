"""One way to fit for every network: with the asset's baseline where the network compares with it, else on the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.learning.data import TrainingData
from camvib.learning.loop import OnEpoch
from camvib.learning.windows import Rows, Windows
from camvib.model.diagnoser import Diagnoser
from camvib.networks import network_class
from camvib.settings import Settings


class Answers(NamedTuple):
    """Logits, (windows, classes), and embeddings, (windows, features)."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted diagnoser, and how it answers on the windows of the training folder.

    Attributes
    ----------
    diagnoser : Diagnoser
    answers : callable
        Of rows of the windows it was made with; each is judged against a baseline that does not hold it.
    """

    diagnoser: Diagnoser
    answers: Callable[[Rows], Answers]


def fit(
    data: TrainingData,
    windows: Windows,
    train: Sequence[int] | Rows,
    validation: Sequence[int] | Rows,
    settings: Settings,
    *,
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
) -> Fitted:
    """Fit the network that `settings` name on the windows of some recordings.

    Parameters
    ----------
    data : TrainingData
    windows : Windows
        Of all recordings, by the image of `settings`.
    train, validation : sequence of int
        Recordings to fit on; recordings whose loss may choose the epoch.
    settings : Settings
    on_epoch, checkpoints
        See `camvib.learning.loop.run_epochs`.

    Raises
    ------
    SettingsError, LabelsError
    """
    if network_class(settings.model.name).needs_baseline:
        from camvib.learning.change_cnn import fit_change

        return fit_change(data, windows, train, settings, on_epoch=on_epoch, checkpoints=checkpoints)
    from camvib.learning import classifier

    diagnoser = classifier.fit_classifier(
        data, windows, train, validation, settings, on_epoch=on_epoch, checkpoints=checkpoints
    )
    return Fitted(diagnoser, lambda rows: classifier.answers(diagnoser, windows, rows))
