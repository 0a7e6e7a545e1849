"""Which candidates to trust, told by training groups alone; and their common verdict.

A difference that chance explains is no reason to prefer one candidate: all within one standard error of the best vote.
The rule was written down in docs/log.md before its first figure was seen.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from camvib.errors import CamvibError, LabelsError
from camvib.images.layer import make_layer
from camvib.learning.candidates import Candidate
from camvib.learning.data import TrainingData
from camvib.learning.fits import Fitted, fit
from camvib.learning.loop import OnEpoch
from camvib.learning.scores import classification_figures
from camvib.learning.windows import Rows, Windows, make_windows, recording_means, settle_window
from camvib.networks import network_class

Fold = tuple[Rows, Rows]  # recordings for training and to be held out


@dataclass(frozen=True, eq=False)
class Compared:
    """One candidate on held-out groups of the training side.

    Attributes
    ----------
    candidate : Candidate
        With its window set.
    recordings : ndarray of int
        That were held out, in order.
    logits : ndarray, shape (recordings, classes)
        Mean over the windows of each.
    macro_f1 : float
    """

    candidate: Candidate
    recordings: Rows
    logits: NDArray[np.floating]
    macro_f1: float

    def describe(self) -> dict[str, Any]:
        """Row of the comparison, for cards and contracts."""
        return {"image": self.candidate.image, "network": self.candidate.network, "macro_f1": round(self.macro_f1, 4)}


class WindowCache:
    """Images of all recordings, made once for each kind of image; one kind is kept at a time.

    Candidates that share an image stand side by side in the list.
    """

    def __init__(self, data: TrainingData, progress: bool = True) -> None:
        self.data, self.progress = data, progress
        self._key = ""
        self._windows: Windows | None = None

    def settled(self, candidate: Candidate) -> Candidate:
        """Set the window's length by what the recordings allow."""
        settings = candidate.settings
        image = settle_window(settings.image, self.data, settings.training.overlap)
        return Candidate(candidate.image, candidate.network, settings.model_copy(update={"image": image}))

    def __call__(self, candidate: Candidate) -> Windows:
        """Images for a candidate whose window is set."""
        settings = candidate.settings
        stacked = settings.image.model_copy(update={"layers": "max"})  # how layers are merged does not matter to them
        key = f"{stacked.digest()} {settings.training.overlap}"
        if self._windows is None or key != self._key:
            self._windows = None  # the old ones go before the new ones come
            self._key, self._windows = key, make_windows(self.data, settings, progress=self.progress)
        layer = make_layer(settings.image, self.data.sampling_rate_hz).eval()
        return Windows(self._windows.stacks_db, self._windows.entry, layer)


def compare(
    candidates: Sequence[Candidate],
    data: TrainingData,
    folds: Sequence[Fold],
    cache: WindowCache,
    *,
    minutes: float,
    memory: Path | None = None,
    progress: bool = True,
) -> list[Compared]:
    """Fit every candidate on one side of each fold and look at the other.

    Parameters
    ----------
    candidates : sequence of Candidate
    data : TrainingData
    folds : sequence of (train, held)
        Recordings; groups never stand on both sides.
    cache : WindowCache
    minutes : float
        No further candidate is begun after this time; the first is always compared.
    memory : Path, optional
        File that remembers what was compared, so that a comparison that was stopped goes on.
    progress : bool

    Returns
    -------
    list of Compared
        In the order of the candidates; one that cannot be fitted to this folder is left out.
    """
    known = _Memory(memory)
    begun = time.monotonic()
    found = []
    bar = tqdm(
        total=len(candidates) * len(folds), desc="compare", unit="fit", disable=not progress, delay=2, leave=False
    )
    for number, candidate in enumerate(candidates):
        if number and time.monotonic() - begun > 60 * minutes:
            break
        try:
            candidate = cache.settled(candidate)
            held, logits = [], []
            for fold in folds:
                answer = known.get(candidate, fold, data)
                if answer is None:
                    answer = _held_out(candidate, data, fold, cache)
                    known.put(candidate, fold, data, answer)
                held.append(fold[1])
                logits.append(answer)
                bar.update(1)
        except LabelsError:  # the folder cannot give what the network needs: the others may
            if len(candidates) == 1:
                raise
            continue
        recordings, values = np.concatenate(held), np.concatenate(logits)
        found.append(Compared(candidate, recordings, values, _macro_f1(candidate, data, recordings, values)))
    bar.close()
    return found


def _held_out(candidate: Candidate, data: TrainingData, fold: Fold, cache: WindowCache) -> NDArray[np.floating]:
    train, held = fold
    windows = cache(candidate)
    fitted = fit(data, windows, train, (), candidate.settings)
    rows = windows.rows(held)
    return recording_means(fitted.answers(rows).logits, windows.entry[rows])[1]


class _Memory:
    """Logits of candidates on folds, by what they were made of."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, list[list[float]]] = {}
        if path and path.is_file():
            try:
                self.known = json.loads(path.read_text())
            except ValueError:
                self.known = {}  # killed while it was written: the comparison begins anew

    @staticmethod
    def _key(candidate: Candidate, fold: Fold, data: TrainingData) -> str:
        sides = [[data.recordings[i].id for i in side] for side in fold]
        text = json.dumps([candidate.settings.model_dump_json(), data.digest, data.classes, sides])
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def get(self, candidate: Candidate, fold: Fold, data: TrainingData) -> NDArray[np.floating] | None:
        answer = self.known.get(self._key(candidate, fold, data))
        return None if answer is None else np.array(answer)

    def put(self, candidate: Candidate, fold: Fold, data: TrainingData, logits: NDArray[np.floating]) -> None:
        self.known[self._key(candidate, fold, data)] = np.asarray(logits, float).tolist()
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(".tmp")
            draft.write_text(json.dumps(self.known))
            draft.replace(self.path)


def _macro_f1(candidate: Candidate, data: TrainingData, recordings: Rows, logits: NDArray[np.floating]) -> float:
    labels = [data.labels[i] for i in recordings]
    multilabel = candidate.settings.model.head == "sigmoid"
    return float(classification_figures(labels, logits, data.classes, multilabel=multilabel)["macro_f1"])


def voters(compared: Sequence[Compared]) -> list[Compared]:
    """All within one standard error of the best that can vote with it as one model, the best first."""
    best = max(compared, key=lambda one: one.macro_f1)
    error = standard_error(best.macro_f1, len(best.recordings))
    order = sorted(compared, key=lambda one: -one.macro_f1)
    close = [one for one in order if one.macro_f1 >= best.macro_f1 - error]
    return [one for one in close if _alike(one.candidate, best.candidate)]


def standard_error(share: float, n: int) -> float:
    """Of a share of `n` cases."""
    return float(np.sqrt(max(0.0, share * (1 - share)) / max(1, n)))


def _alike(one: Candidate, other: Candidate) -> bool:
    """Whether their maps have common axes: one kind of image, one window, the same things beside it."""
    a, b = one.settings, other.settings
    needs = [network_class(s.model.name).needs_baseline for s in (a, b)]
    return a.image.kind == b.image.kind and a.image.window_s == b.image.window_s and needs[0] == needs[1]


def fit_voters(
    chosen: Sequence[Compared],
    data: TrainingData,
    train: Rows,
    validation: Rows,
    cache: WindowCache,
    *,
    on_epoch: OnEpoch | None = None,
    checkpoints: Path | None = None,
) -> list[tuple[Fitted, Windows]]:
    """Fit the chosen on a whole training side; each with the images that it looks at."""
    found = []
    for number, one in enumerate(chosen):
        windows = cache(one.candidate)
        folder = checkpoints / str(number) if checkpoints else None
        settings = one.candidate.settings
        found.append((fit(data, windows, train, validation, settings, on_epoch=on_epoch, checkpoints=folder), windows))
    if not found:
        raise CamvibError("no candidate can be fitted to this folder", "See left_out in data.json for the reasons")
    return found
