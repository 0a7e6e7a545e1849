"""Whose evidence is whose, in recordings with two faults (protocol B2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from camvib.diagnosis.verdict import predicted_label
from camvib.evaluation.maps.answers import Answers, answer
from camvib.evaluation.maps.data import VISIBLE_SHARE, MapData, true_faults
from camvib.evaluation.maps.scores import score_maps
from camvib.images.baseline import Baseline
from camvib.model.model import Model
from camvib.networks.change_cnn import contrasted

# Of fault A and of fault B, (recordings, rows, columns) each.
Maps = tuple[NDArray[np.floating], NDArray[np.floating]]
Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def both_visible(data: MapData) -> NDArray[np.bool_]:
    """Recordings with two faults, each with enough evidence of its own."""
    both = np.array(["+" in label for label in data.labels])
    return ((data.one_off != 0).mean(axis=(2, 3)) >= VISIBLE_SHARE).all(axis=1) & both


def specificity(model: Model, data: MapData, baseline: Baseline, *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Whether a fault's map tells its own evidence from the other fault's.

    All but `share` and its relatives are means over recordings with two faults whose evidence is visible.

    Parameters
    ----------
    model : Model
    data : MapData
        Recordings with two faults, both of them visible, see `both_visible`.
    baseline : Baseline
        One each of the recordings.
    draws, seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        `exclusive_auroc`: in cells that exactly one of the two faults changed, how well map A less map B tells A's
        cells. `own_auroc`, `own_auroc_by_class`: the same cells by the one map that the report shows for A.
        `contrast`: the same three for maps that say 'this fault rather than the other one', as a verdict that names
        both shows them. `both_named`: share of recordings whose two highest faults, or whose verdict, are the true
        ones; `set_named`: in which just these have odds above even, of a network that tells the odds of each fault.
        `share`: the map of A has a higher AP on A's evidence than on B's, which asks more of the fault with fewer
        cells; `ap_difference` is the mean of the two APs' difference, with its interval. `share_contrast` is the same
        for map A less map B; `share_same_evidence` asks whether on A's evidence the map of A scores above that of B.
        `votes_right`: how often the map of A is the higher one in cells that are due to A alone. `ceiling`: the share
        of a change map, or of a flat one, whose every cell were given to the fault that it is due to.
    """
    masks = (data.one_off[:, 0] != 0, data.one_off[:, 1] != 0)
    answers = [answer(model, data, true_faults(data, place), baseline) for place in (0, 1)]
    maps = (answers[0].class_map, answers[1].class_map)
    fault = np.array([true_faults(data, place) for place in (0, 1)])
    own, other = _own_and_other(maps, masks)
    rather, instead = _own_and_other((maps[0] - maps[1], maps[1] - maps[0]), masks)
    change = answers[0].amount if answers[0].amount is not None else np.ones_like(maps[0])
    best, worst = _own_and_other((change * _true_votes(masks), change * _true_votes((masks[1], masks[0]))), masks)
    wins, difference = own > other, (own - other).mean(axis=0)
    right = np.array([_share_where(maps[j] > maps[1 - j], masks[j], masks[1 - j]) for j in (0, 1)])
    low, high = _interval(difference, data.groups, draws, seed)
    named, exactly = named_pairs(model, answers[0], fault.T)
    return {
        "share": float(wins.mean()),
        **whose(maps, masks, fault),
        "contrast": whose(_contrasted(maps), masks, fault),
        "both_named": float(named.mean()),
        **({} if exactly is None else {"set_named": float(exactly.mean())}),
        "ap_difference": float(difference.mean()),
        "low": low,
        "high": high,
        "share_contrast": float((rather > instead).mean()),
        "share_same_evidence": float((own > other[::-1]).mean()),
        "ap_own": float(own.mean()),
        "ap_change_map": float(np.mean([score_maps(change, mask)[:, 0].mean() for mask in masks])),
        "by_class": {str(name): float(wins[fault == name].mean()) for name in np.unique(fault)},
        "votes_right": {str(name): _mean(right[fault == name]) for name in np.unique(fault)},
        "ceiling": float((best > worst).mean()),
        "recordings": len(data),
    }


def exclusive_auroc(
    values: NDArray[np.floating], own: NDArray[np.bool_], other: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """AUROC of each map for 'changed by the one fault' among cells that exactly one of the two changed.

    Parameters
    ----------
    values : ndarray, shape (recordings, rows, columns)
    own, other : ndarray of bool
        Cells that the one and the other fault changed.

    Returns
    -------
    ndarray, shape (recordings,)
        NaN where one of the two changed no cell alone.
    """
    found = np.full(len(values), np.nan)
    for i, (value, mine, yours) in enumerate(zip(values, own, other, strict=True)):
        cells = mine ^ yours
        hit, count = mine[cells], int(cells.sum())
        positives = int(hit.sum())
        if 0 < positives < count:
            ranks = rankdata(value[cells])
            found[i] = (ranks[hit].sum() - positives * (positives + 1) / 2) / (positives * (count - positives))
    return found


def whose(maps: Maps, masks: Masks, faults: NDArray[np.str_]) -> dict[str, Any]:
    """AUROC on the cells that exactly one fault changed, by both maps together and by each alone.

    Parameters
    ----------
    maps, masks
        Of fault A and of fault B.
    faults : ndarray of str, shape (2, recordings)
        Their names.
    """
    own = np.array([exclusive_auroc(maps[j], masks[j], masks[1 - j]) for j in (0, 1)])
    return {
        "exclusive_auroc": _mean(exclusive_auroc(maps[0] - maps[1], *masks)),
        "own_auroc": _mean(own),
        "own_auroc_by_class": {str(name): _mean(own[faults == name]) for name in np.unique(faults)},
    }


def _contrasted(maps: Maps) -> Maps:
    """What a verdict that names both faults shows of each."""
    nothing, one, other = (torch.from_numpy(np.asarray(v, np.float64)) for v in (np.zeros_like(maps[0]), *maps))
    named = torch.tensor([[False, True, True]]).expand(len(one), 3)
    found = contrasted(torch.stack([nothing, one, other], dim=1), named).numpy()
    return found[:, 1], found[:, 2]


def named_pairs(
    model: Model, answers: Answers, faults: NDArray[np.str_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Whether the two highest faults, or the verdict, are the true pair; whether just they have odds above even.

    Highest by log odds of presence where the network tells them, else by logit; without them the second is None.
    `faults` is (recordings, 2).
    """
    names = [name for name in model.classes if name != model.healthy]
    columns = [model.classes.index(name) for name in names]
    odds = answers.logits[:, columns] if answers.presence is None else answers.presence
    truth = [set(pair.tolist()) for pair in faults]
    highest = [{names[k] for k in np.argsort(-row)[:2]} for row in odds]
    said = [set(predicted_label(row, model.classes, model.is_multilabel).split("+")) for row in answers.logits]
    named = np.array([pair in (two, verdict) for pair, two, verdict in zip(truth, highest, said, strict=True)])
    if answers.presence is None:
        return named, None
    present = [{names[k] for k in np.flatnonzero(row > 0)} for row in odds]
    return named, np.array([pair == those for pair, those in zip(truth, present, strict=True)])


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _own_and_other(maps: Maps, masks: Masks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AP of each fault's map on its own and on the other's evidence, both (2, recordings)."""
    scores = [[score_maps(values, mask)[:, 0] for mask in masks] for values in maps]
    return np.stack([scores[0][0], scores[1][1]]), np.stack([scores[0][1], scores[1][0]])


def _true_votes(masks: Masks) -> NDArray[np.floating]:
    """1 where a cell is due to the first fault alone, 0 where to the other alone, one half elsewhere."""
    return 0.5 + 0.5 * (masks[0].astype(np.float32) - masks[1])


def _share_where(values: NDArray[np.bool_], own: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the cells due to the one fault alone in which `values` holds, NaN without such cells; (recordings,)."""
    alone = own & ~other
    count = alone.sum(axis=(1, 2))
    return np.where(count > 0, (values & alone).sum(axis=(1, 2)) / np.maximum(count, 1), np.nan)


def _interval(values: NDArray[np.float64], groups: NDArray[np.str_], draws: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean, drawing specimens."""
    names, group = np.unique(groups, return_inverse=True)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    weights = weights[:, group]
    low, high = np.quantile(weights @ values / weights.sum(axis=1), [0.025, 0.975])
    return float(low), float(high)
