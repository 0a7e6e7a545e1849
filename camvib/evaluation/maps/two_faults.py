"""Whose evidence is whose, in recordings with two faults (protocol B2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from camvib.evaluation.maps.answers import tensors, true_classes
from camvib.evaluation.maps.data import CLASSES, MapData
from camvib.networks.change_cnn import ChangeCnn, contrasted


def whose_evidence(network: ChangeCnn, data: MapData) -> dict[str, Any]:
    """Figures on the cells that exactly one of the two faults changed, as means over recordings.

    `exclusive_auroc` is that of map A − map B for 'changed by A'; `own_auroc` that of the one map of A (and of B), also
    by class. Both twice: for the maps as they are, and, under `contrast`, for `contrasted` ones, which a verdict that
    names the two faults shows. `both_named` is the share of recordings in which the two faults of highest log odds are
    the true ones, `set_named` that in which just the faults with log odds above 0 are; without a head for presence the
    logits stand in, and there is no `set_named`.

    Parameters
    ----------
    network : ChangeCnn
    data : MapData
        Recordings with two visible faults each.
    """
    first, second = (true_classes(data, place) for place in (0, 1))
    plain, contrast = _Figures(), _Figures()
    named, sets = [], []
    with torch.inference_mode():
        for i in range(len(data)):
            output = network(*tensors(data, np.array([i])))
            true = {int(first[i]), int(second[i])}
            odds = output.logits[0, 1:] if output.presence is None else output.presence[0]
            named.append({int(k) + 1 for k in odds.topk(2).indices} == true)
            if output.presence is not None:
                sets.append({int(k) + 1 for k in torch.nonzero(odds > 0)} == true)
            told = torch.zeros_like(output.logits, dtype=torch.bool)
            told[0, list(true)] = True
            pair = [int(first[i]), int(second[i])]
            plain.add(_pair(output.maps, pair), data.one_off[i], pair)
            contrast.add(_pair(contrasted(output.maps, told), pair), data.one_off[i], pair)
    found = {**plain.means(), "contrast": contrast.means(), "both_named": float(np.mean(named))}
    return found | ({"set_named": float(np.mean(sets))} if sets else {})


def _pair(maps: Tensor, pair: list[int]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = maps[0, pair].numpy()
    return found


class _Figures:
    def __init__(self) -> None:
        self.exclusive: list[float] = []
        self.own: dict[str, list[float]] = {name: [] for name in CLASSES[1:]}

    def add(self, maps: NDArray[np.float32], masks: NDArray[np.int8], pair: list[int]) -> None:
        """Of one recording: maps and masks of its two faults, both (2, rows, columns)."""
        only = (masks[0] != 0) ^ (masks[1] != 0)
        mine = masks[0][only] != 0
        if mine.all() or not mine.any():
            return
        self.exclusive.append(auroc(maps[0][only] - maps[1][only], mine))
        self.own[CLASSES[pair[0]]].append(auroc(maps[0][only], mine))
        self.own[CLASSES[pair[1]]].append(auroc(maps[1][only], ~mine))

    def means(self) -> dict[str, Any]:
        by_class = {name: float(np.mean(values)) for name, values in self.own.items() if values}
        every = [value for values in self.own.values() for value in values]
        return {
            "exclusive_auroc": float(np.mean(self.exclusive)) if every else float("nan"),
            "own_auroc": float(np.mean(every)) if every else float("nan"),
            "own_auroc_by_class": by_class,
        }


def auroc(values: NDArray[np.floating], hit: NDArray[np.bool_]) -> float:
    """Area under the ROC curve; ties count half."""
    positives = int(hit.sum())
    ranks = rankdata(values)
    return float((ranks[hit].sum() - positives * (positives + 1) / 2) / (positives * (len(hit) - positives)))
