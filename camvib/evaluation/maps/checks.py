"""What a map owes its network (protocol C)."""

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
from camvib.evaluation.maps.answers import answer, class_numbers, explainable, with_diagnoser
from camvib.evaluation.maps.data import MapData, healthy_fill, image_axes, true_faults
from camvib.evaluation.maps.grids import on_grid
from camvib.evaluation.maps.scores import by_class, macro, score_maps
from camvib.images.baseline import Baseline
from camvib.images.layer import layer_images
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model

FRACTIONS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
_AT_ONCE = 32


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


def peer_maps(model: Model, data: MapData, baseline: Baseline) -> dict[str, NDArray[np.floating]]:
    """Every attribution method on the model's network (a committee's first), in the cells of the benchmark.

    Removed cells are filled with another healthy recording of the asset.
    """
    member, classes = model.members[0], class_numbers(model, true_faults(data))
    parts: dict[str, list[NDArray[np.floating]]] = {}
    for first in range(0, len(data), _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, len(data)))
        some = data.select(rows)
        images, fill = _images(member, some)
        for name, values in attribution_maps(
            explainable(member, _of(baseline, rows)), images, classes[rows], fill
        ).items():
            parts.setdefault(name, []).append(on_grid(values, member.axes, image_axes()))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _images(member: Diagnoser, data: MapData) -> tuple[Tensor, Tensor]:
    """Recordings as the network sees them, and what removed cells are filled with."""
    return torch.from_numpy(layer_images(member.image, data.waveforms)), torch.from_numpy(
        healthy_fill(member.image, data)
    )


def _of(baseline: Baseline, rows: NDArray[np.integer]) -> Baseline:
    return Baseline(baseline.mean_db[rows], baseline.spread_db[rows], baseline.recordings)


def deletion(
    model: Model, data: MapData, baseline: Baseline, chosen_rows: NDArray[np.integer], *, seed: int = 0
) -> dict[str, Any]:
    """Deletion and insertion areas of our maps and of every attribution method on the same network.

    The network is the model's, of a committee the first; `chosen_rows` are the recordings tested.
    """
    member = model.members[0]
    rng = np.random.default_rng(seed)
    curves: dict[str, list[tuple[float, float]]] = {}
    agreement = []
    for row in chosen_rows:
        one, own = data.select(np.array([row])), _of(baseline, np.array([row]))
        labels = true_faults(one)
        (image, fill), chosen = _images(member, one), class_numbers(model, labels)
        net = explainable(member, own)
        ours = answer(model, one, labels, own)
        truth = np.abs(one.difference_db.astype(np.float32))
        maps = {
            "camvib": on_grid(ours.class_map, image_axes(), member.axes),
            **({} if ours.amount is None else {"change": on_grid(ours.amount, image_axes(), member.axes)}),
            "evidence": on_grid(truth, image_axes(), member.axes),
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


def randomised(model: Model, data: MapData, baseline: Baseline, *, nets: int = 10) -> dict[str, float]:
    """Scores of the class map of the same model with random weights.

    `auroc` must be at one half. `ap` lies above `chance`, the share of evidence cells, as long as a random network
    lets the image through: half of them rank cells by energy and half against it, and average precision gives more
    for the right order than it takes for the wrong one.
    """
    values = []
    for seed in range(nets):
        torch.manual_seed(seed)
        random = with_diagnoser(model, [_random(member, len(model.classes)) for member in model.members])
        found = answer(random, data, true_faults(data), baseline)
        values.append(score_maps(found.class_map, data.evidence))
    each = [by_class(one, data.labels)["macro"] for one in values]
    chance = (data.evidence != 0).mean(axis=(1, 2))
    found_means = {key: float(np.mean([one[key] for one in each])) for key in ("ap", "pointing", "auroc")}
    spread = float(np.std([one["auroc"] for one in each]))
    return {**found_means, "auroc_spread": spread, "chance": macro(chance, data.labels), "nets": nets}


def _random(member: Diagnoser, classes: int) -> Diagnoser:
    """New weights; the image and its standardisation stay."""
    fresh = Diagnoser(classes, member.settings, member.image.sampling_rate_hz)
    fresh.mean.copy_(member.mean)
    fresh.spread.copy_(member.spread)
    return fresh.eval()
