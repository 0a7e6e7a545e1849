"""What a map owes its network (protocol C), and whether it knows one fault from another (B2)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from camvib.evaluation.maps import attributions as att
from camvib.evaluation.maps.answers import explain, explainable_change, tensors, true_classes
from camvib.evaluation.maps.data import VISIBLE_SHARE, MapData
from camvib.evaluation.maps.scores import by_class, macro, score_maps
from camvib.evaluation.maps.two_faults import whose_evidence
from camvib.networks.change_cnn import ChangeCnn

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)


def healthy_fill(data: MapData, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """Another healthy recording of each recording's asset, at the recording's level.

    A spectrum without the speckle of a recording would itself be something that no network has seen.
    """
    fills = []
    for row in rows:
        others = np.flatnonzero(data.groups == data.groups[row])
        other = others[others != row][0]
        fill = data.twins_db[other].astype(np.float32)
        fills.append(fill - fill.mean() + data.images_db[row].astype(np.float32).mean())
    return np.stack(fills)


def removal_curve(
    net: att.Classifier, images: Tensor, fill: Tensor, maps: NDArray[np.floating], classes: Tensor, *, insert: bool
) -> NDArray[np.float64]:
    """Probability of the class as cells are removed (or shown) in the order of a map; (batch, fractions)."""
    order = np.argsort(np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable"), axis=1).reshape(maps.shape)
    start, end = (fill, images) if insert else (images, fill)
    curve = []
    with torch.inference_mode():
        for fraction in FRACTIONS:
            taken = torch.from_numpy(order < fraction * order[0].size)
            probability = net(torch.where(taken, end, start)).softmax(dim=1)
            curve.append(probability.gather(1, classes[:, None])[:, 0].numpy())
    return np.array(curve).T


def attribution_maps(net: att.Explainable, images: Tensor, classes: Tensor, fill: Tensor) -> dict[str, NDArray[Any]]:
    """Every attribution method's maps."""
    methods: dict[str, Callable[[att.Explainable, Tensor, Tensor], Tensor]] = {
        "gradcam": att.grad_cam,
        "gradcam_plus_plus": att.grad_cam_plus_plus,
        "layercam": att.layer_cam,
        "scorecam": functools.partial(att.score_cam, fill=fill),
        "occlusion": functools.partial(att.occlusion, fill=fill),
        "integrated_gradients": functools.partial(att.integrated_gradients, fill=fill),
    }
    return {name: method(net, images, classes).detach().numpy() for name, method in methods.items()}


def deletion(network: ChangeCnn, data: MapData, chosen_rows: NDArray[np.integer], *, seed: int = 0) -> dict[str, Any]:
    """Deletion and insertion areas of our maps and of every attribution method on the same network.

    `chosen_rows` are the recordings tested; the others serve as healthy fill.
    """
    classes = true_classes(data)
    ours = explain(network, data, classes)
    rng = np.random.default_rng(seed)
    curves: dict[str, list[tuple[float, float]]] = {}
    agreement = []
    for row in chosen_rows:
        rows = np.array([row])
        image = tensors(data, rows)[0]

        net = explainable_change(network, data, rows)
        fill, chosen = torch.from_numpy(healthy_fill(data, rows)), torch.from_numpy(classes[rows])
        maps = {
            "camvib": ours.class_map[rows],
            "change": ours.change[rows],
            "evidence": np.abs(data.difference_db[rows].astype(np.float32)),
            "energy": image.numpy(),
            "random": rng.random(image.shape),
            **attribution_maps(net, image, chosen, fill),
        }
        agreement.append(spearmanr(maps["camvib"].ravel(), maps["occlusion"].ravel()).statistic)
        for name, values in maps.items():
            areas = [
                float(np.trapezoid(removal_curve(net.logits, image, fill, values, chosen, insert=insert)[0], FRACTIONS))
                for insert in (False, True)
            ]
            curves.setdefault(name, []).append((areas[0], areas[1]))
    means = {name: np.mean(values, axis=0) for name, values in curves.items()}
    return {
        "deletion": {name: float(value[0]) for name, value in means.items()},
        "insertion": {name: float(value[1]) for name, value in means.items()},
        "rank_correlation_with_occlusion": float(np.mean(agreement)),
        "deletion_recordings": len(chosen_rows),
    }


def randomised(network: ChangeCnn, data: MapData, *, nets: int = 10) -> dict[str, float]:
    """Scores of the class map of networks with random weights.

    `auroc` must be at one half. `ap` lies above `chance`, the share of evidence cells, as long as a random network
    lets the image through: half of them rank cells by energy and half against it, and average precision gives more
    for the right order than it takes for the wrong one.
    """
    values = []
    for seed in range(nets):
        torch.manual_seed(seed)
        random = ChangeCnn(len(network.classes.bias), network.widths).eval()
        values.append(score_maps(explain(random, data, true_classes(data)).class_map, data.evidence))
    each = [by_class(one, data.labels)["macro"] for one in values]
    chance = (data.evidence != 0).mean(axis=(1, 2))
    found = {key: float(np.mean([one[key] for one in each])) for key in ("ap", "pointing", "auroc")}
    spread = float(np.std([one["auroc"] for one in each]))
    return {**found, "auroc_spread": spread, "chance": macro(chance, data.labels), "nets": nets}


def specificity(network: ChangeCnn, data: MapData, *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Whether the map of A scores higher on the evidence of A than on that of B, in recordings with both.

    `share` is over recordings and both orders, the two faults' evidence must each be visible; `ap_difference` is the
    mean of AP on the own evidence less AP on the other's. `share_same_evidence` asks the other way round: on the
    evidence of A, does the map of A score higher than the map of B? That does not depend on which evidence is larger.
    `share_contrast` is `share` for the contrast of the two maps, A less B, instead of A against healthy.
    `ceiling` is the share where each cell of the change map is given to the fault that it is truly due to, and
    `votes_right` how often the map of A is the higher one in cells that are due to A alone. The figures of
    `camvib.evaluation.maps.two_faults.whose_evidence` stand beside these.
    """
    both = np.array(["+" in label for label in data.labels])
    seen = ((data.one_off != 0).mean(axis=(2, 3)) >= VISIBLE_SHARE).all(axis=1) & both
    data = data.select(seen)
    masks = [data.one_off[:, j] for j in (0, 1)]
    answers = [explain(network, data, true_classes(data, place)) for place in (0, 1)]
    maps = [answer.class_map for answer in answers]
    own, other = _own_and_other(maps, masks)
    rather, instead = _own_and_other([maps[0] - maps[1], maps[1] - maps[0]], masks)
    best, worst = _own_and_other(
        [answers[0].change * _true_votes(masks[j], masks[1 - j]) for j in (0, 1)],
        masks,
    )
    fault = np.array([[label.split("+")[j] for label in data.labels] for j in (0, 1)])
    wins, difference = own > other, (own - other).mean(axis=0)
    right = np.array([_share_where(maps[j] > maps[1 - j], masks[j], masks[1 - j]) for j in (0, 1)])
    low, high = _interval(difference, data.groups, draws, seed)
    return {
        "share": float(wins.mean()),
        "ap_difference": float(difference.mean()),
        "low": low,
        "high": high,
        "share_contrast": float((rather > instead).mean()),
        "share_same_evidence": float((own > other[::-1]).mean()),
        "ap_own": float(own.mean()),
        "ap_change_map": float(np.mean([score_maps(answers[0].change, mask)[:, 0].mean() for mask in masks])),
        "by_class": {str(name): float(wins[fault == name].mean()) for name in np.unique(fault)},
        "votes_right": {str(name): float(np.nanmean(right[fault == name])) for name in np.unique(fault)},
        "ceiling": float((best > worst).mean()),
        **whose_evidence(network, data),
        "recordings": len(data),
    }


def _own_and_other(
    maps: list[NDArray[np.floating]], masks: list[NDArray[np.int8]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AP of each fault's map on its own and on the other's evidence, both (2, recordings)."""
    scores = [[score_maps(values, mask)[:, 0] for mask in masks] for values in maps]
    return np.stack([scores[0][0], scores[1][1]]), np.stack([scores[0][1], scores[1][0]])


def _true_votes(own: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.floating]:
    """1 where a cell is due to the one fault alone, 0 where to the other alone, one half elsewhere."""
    return 0.5 + 0.5 * ((own != 0).astype(np.float32) - (other != 0))


def _share_where(values: NDArray[np.bool_], own: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.float64]:
    """Share of the cells due to the one fault alone in which `values` holds, NaN without such cells; (recordings,)."""
    alone = (own != 0) & (other == 0)
    count = alone.sum(axis=(1, 2))
    return np.where(count > 0, (values & alone).sum(axis=(1, 2)) / np.maximum(count, 1), np.nan)


def _interval(values: NDArray[np.float64], groups: NDArray[np.str_], draws: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean, drawing specimens."""
    names, group = np.unique(groups, return_inverse=True)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    weights = weights[:, group]
    low, high = np.quantile(weights @ values / weights.sum(axis=1), [0.025, 0.975])
    return float(low), float(high)
