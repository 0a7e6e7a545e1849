"""How right a run on a simulated inbox was: verdicts against labels, maps against where the faults truly show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from camvib.evaluation.maps.scores import score_map
from camvib.monitoring.ledger import Store
from camvib.records import Diagnosis

VISIBLE_SHARE = 0.002  # fewer evidence cells than this: the fault cannot be seen in the image


def score_inbox(inbox: Path, store: Store) -> dict[str, Any]:
    """Compare what a store says of an inbox with what the simulator knows.

    Parameters
    ----------
    inbox : Path
        Folder of `camvib.simulation.inbox.write_inbox`, with labels.csv and masks/.
    store : Store
        In which its recordings were diagnosed.

    Returns
    -------
    dict
        recordings, refused, macro_f1 and accuracy over the recordings that were judged, healthy_called_faulty,
        map_ap (mean average precision of the maps that the report shows, over all visible faults), map_chance.
    """
    labels = pd.read_csv(inbox / "labels.csv").set_index("file").label
    newest = {Path(one.recording).name: one for one in store.all()}
    truth, guess, scores, chance, refused = [], [], [], [], 0
    for file, label in labels.items():
        diagnosis = newest.get(Path(str(file)).name)
        if diagnosis is None or diagnosis.verdict == "refused":
            refused += 1
            continue
        truth.append(label)
        guess.append("healthy" if diagnosis.verdict == "healthy" else diagnosis.label)
        mask_file = inbox / "masks" / Path(str(file)).name
        if label == "healthy" or not mask_file.is_file():
            continue
        with np.load(mask_file, allow_pickle=False) as stored:
            mask = stored["evidence"]
        shown = _shown(diagnosis, store, mask.shape)
        if (mask != 0).mean() >= VISIBLE_SHARE and shown is not None:
            scores.append(score_map(shown, mask)[0])
            chance.append(float((mask != 0).mean()))
    healthy = [g for t, g in zip(truth, guess, strict=True) if t == "healthy"]
    return {
        "recordings": len(truth),
        "refused": refused,
        "accuracy": float(np.mean(np.array(truth) == np.array(guess))),
        "macro_f1": float(f1_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0)),
        "healthy_called_faulty": float(np.mean([g != "healthy" for g in healthy])),
        "map_ap": float(np.mean(scores)),
        "map_chance": float(np.mean(chance)),
    }


def _shown(diagnosis: Diagnosis, store: Store, shape: tuple[int, ...]) -> NDArray[np.floating] | None:
    """The map that the report shows, brought to the grid of the truth."""
    evidence = store.evidence(diagnosis)
    if evidence is None:
        return None
    values = evidence.contrast.values  # of a healthy verdict, the likeliest fault against healthy
    rows, columns = (np.arange(n) * have // n for n, have in zip(shape, values.shape, strict=True))
    return values[np.ix_(rows, columns)]
