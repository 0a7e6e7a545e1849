"""The map benchmark: protocols A, B, B2, B3 and C on fresh specimens, as one table and one file.

No other program is needed to repeat it: `evaluate_maps` simulates specimens from a seed, explains them with the
given networks, with every trivial map and with the usual attribution methods, and scores all of them against the
cells where the recording differs from its healthy twin.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from camvib.evaluation.maps import transfer as other_structures
from camvib.evaluation.maps.answers import explain, tensors, true_classes
from camvib.evaluation.maps.checks import attribution_maps, deletion, randomised, specificity
from camvib.evaluation.maps.data import CLASSES, MapData, simulated
from camvib.evaluation.maps.models import MapModels, load_map_models
from camvib.evaluation.maps.planted_hum import planted_hum
from camvib.evaluation.maps.scores import bootstrap_macro, macro, score_maps, with_intervals
from camvib.evaluation.maps.trivial import trivial_classifiers, trivial_maps
from camvib.images.baseline import level_free
from camvib.learning.scores import classification_figures
from camvib.networks.output import Output
from camvib.simulation.fleet import OTHER_RIG, FleetPlan

TEMPLATE_SEED = 101  # a training seed: the trivial classifiers and the template learn from it
PER_SPECIMEN = 10
Maps = dict[str, NDArray[np.floating]]


def evaluate_maps(
    model: Path,
    *,
    seed: int,
    specimens: int = 40,
    out: Path | None = None,
    figures: Path | None = None,
    deletions: int = 40,
    learn: int = 800,
    measured: Path | None = None,
    peers: bool = True,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Judge a model's maps on specimens that nobody trained on.

    Parameters
    ----------
    model : Path
        Folder of `camvib.evaluation.maps.models.save_networks`, or a run folder of ``camvib train``.
    seed : int
        Of the specimens; recordings with two faults are of seed + 1, those of another rig of seed + 2,
        those with a planted hum of seed + 3.
    specimens : int
        Ten recordings each.
    out : Path, optional
        The JSON file to write.
    figures : Path, optional
        Folder for the picture grid.
    deletions : int
        Recordings of the deletion test, which is the slowest.
    learn : int
        Recordings that the trivial classifiers and the healthy template learn from.
    measured : Path, optional
        Folder that holds the measured cantilevers of `camvib.evaluation.maps.transfer.MEASURED`; those that are not
        there are left out.
    peers : bool
        Whether to explain the plain network with the usual attribution methods as well.
    progress : callable
        Called with lines of text.

    Returns
    -------
    dict
        What `out` holds.

    Raises
    ------
    ModelError
        The folder holds no model of the simulator's classes.
    """
    models = load_map_models(model)
    progress(f"simulating {specimens * PER_SPECIMEN} recordings of seed {seed}, and {learn} to learn from")
    data = simulated(FleetPlan(specimens * PER_SPECIMEN, seed))
    learned = simulated(FleetPlan(learn, TEMPLATE_SEED))
    faulty = data.labels != CLASSES[0]
    visible = data.select(data.visible)
    result: dict[str, Any] = {
        "not_visible": int((faulty & ~data.visible).sum()),
        "scored": len(visible),
        "seeds": {"evaluated": [seed + k for k in range(4)], "specimens": specimens, **models.card},
    }
    result["classification"] = _classification(models, data, learned)
    progress(f"explaining {len(visible)} visible faults")
    template = level_free(learned.images_db[learned.labels == CLASSES[0]].astype(np.float32)).mean(axis=(0, 2))
    maps = _all_maps(models, visible, template, peers)
    scores = {name: score_maps(values, visible.evidence) for name, values in maps.items()}
    result["maps"] = with_intervals(scores, visible.labels, visible.groups)
    result["chance"] = macro((visible.evidence != 0).mean(axis=(1, 2)), visible.labels)
    result |= _gains(scores, visible)
    progress("two faults at once, another rig, deletion, random weights")
    result |= _checks(models, visible, seed, specimens, deletions, learn, measured)
    if figures:
        from camvib.evaluation.maps.figures import picture_grid  # pictures need matplotlib, figures do not

        picture_grid(visible, maps, figures / "maps-grid.png")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
    progress(table(result))
    return result


def _classification(models: MapModels, data: MapData, learned: MapData) -> dict[str, Any]:
    """Protocol A: the best network first, the others and the trivial classifiers beside it."""
    logits = {"plain_gap_cnn": _plain(models.plain, data)[0]} if models.plain else {}
    for name, network in (("camvib_no_twins", models.change_no_twins), ("camvib", models.change)):
        if network:
            logits[name] = explain(network, data, true_classes(data)).logits
    figures = {name: classification_figures(data.labels.tolist(), value, CLASSES) for name, value in logits.items()}
    shown = figures.pop(list(figures)[-1])
    return {
        "macro_f1": shown["macro_f1"],
        "accuracy": shown["accuracy"],
        "recall": shown["recall"],
        "confusion": shown["confusion"],
        "baselines": {
            **trivial_classifiers(learned, data),
            **{name: figure["macro_f1"] for name, figure in figures.items()},
        },
        "recall_of": {name: figure["recall"] for name, figure in figures.items()},
    }


def _plain(plain: Callable[[torch.Tensor], Output], data: MapData) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits, and the class map of the true class against healthy at the image's resolution."""
    logits, maps = [], []
    classes = true_classes(data)
    with torch.inference_mode():
        for first in range(0, len(data), 50):
            rows = np.arange(first, min(first + 50, len(data)))
            output = plain(tensors(data, rows)[0])
            contrast = output.maps[torch.arange(len(rows)), torch.from_numpy(classes[rows])] - output.maps[:, 0]
            size = data.images_db.shape[1:]
            large = torch.nn.functional.interpolate(contrast[:, None], size=size, mode="bilinear")
            logits.append(output.logits.numpy())
            maps.append(large[:, 0].numpy())
    return np.concatenate(logits), np.concatenate(maps)


def _all_maps(models: MapModels, data: MapData, template: NDArray[np.floating], peers: bool) -> Maps:
    """Every map of the table, for the true class of each recording."""
    maps: Maps = {}
    classes = true_classes(data)
    for suffix, network in (("", models.change), ("_no_twins", models.change_no_twins)):
        if network:
            answer = explain(network, data, classes)
            maps["camvib" + suffix], maps["change" + suffix] = answer.class_map, answer.change
    if models.plain:
        maps["plain_cam"] = _plain(models.plain, data)[1]
        maps.setdefault("camvib", maps["plain_cam"])  # a plain model's class map is what it shows
    maps |= trivial_maps(data, template)
    return maps | _peers(models, data, template) if peers else maps


def _peers(models: MapModels, data: MapData, template: NDArray[np.floating]) -> Maps:
    """Attribution methods on the plain network, or where there is none on the one with maps on the change."""
    classes = true_classes(data)
    parts: dict[str, list[NDArray[np.floating]]] = {}
    for first in range(0, len(data), 32):
        rows = np.arange(first, min(first + 32, len(data)))
        images = tensors(data, rows)[0]
        fill = torch.from_numpy(template.astype(np.float32))[None, :, None].expand_as(images)
        fill = fill + images.mean(dim=(1, 2), keepdim=True)
        net, chosen = models.explainable(data, rows), torch.from_numpy(classes[rows])
        for name, values in attribution_maps(net, images, chosen, fill).items():
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in parts.items()}


def _gains(scores: dict[str, NDArray[np.float64]], data: MapData) -> dict[str, Any]:
    """AP gained over the difference to the baseline, recording by recording, with its interval."""
    gains = {}
    for name, key in (
        ("camvib", "gain_over_baseline_difference"),
        ("camvib_no_twins", "gain_over_baseline_difference_no_twins"),
    ):
        if name in scores:
            gain = scores[name][:, 0] - scores["baseline_difference"][:, 0]
            low, high = bootstrap_macro(gain, data.labels, data.groups)
            gains[key] = {"ap": macro(gain, data.labels), "low": low, "high": high}
    return gains


def _checks(
    models: MapModels, visible: MapData, seed: int, specimens: int, deletions: int, learn: int, measured: Path | None
) -> dict[str, Any]:
    """Protocols B2, B3 and C, which need a network with class maps on the change."""
    network = models.change or models.change_no_twins
    if network is None:
        return {}
    pairs = simulated(FleetPlan(specimens * PER_SPECIMEN, seed + 1, faults_per_recording=2))
    other = simulated(FleetPlan(specimens * PER_SPECIMEN // 2, seed + 2, family=OTHER_RIG))
    other = other.select(other.visible)
    transfer = {"other_rig": other_structures.other_rig(network, other)}
    for name in other_structures.MEASURED:
        if measured and (measured / name / "labels.csv").is_file():
            transfer[name] = other_structures.measured(network, name, measured / name)
    some = np.linspace(0, len(visible) - 1, min(deletions, len(visible))).round().astype(int)
    return {
        "specificity": specificity(network, pairs),
        "transfer": transfer,
        **deletion(network, visible, some),
        "randomised": randomised(network, visible),
        "planted_hum": planted_hum(network, train_seed=TEMPLATE_SEED, seed=seed + 3, recordings=learn // 2),
        "add_up_error": explain(network, visible, true_classes(visible)).add_up_error,
    }


def table(result: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [f"{'map':24}  AP    interval       pointing  mass  AUROC   " + "  ".join(f"{c:>11}" for c in CLASSES[1:])]
    for name, row in sorted(result["maps"].items(), key=lambda item: -item[1]["macro"]["ap"]):
        values, (low, high) = row["macro"], row["ap_interval"]
        classes = "  ".join(f"{row['by_class'].get(c, {'ap': float('nan')})['ap']:11.3f}" for c in CLASSES[1:])
        lines.append(
            f"{name:24}  {values['ap']:.3f} [{low:.3f}, {high:.3f}]  {values['pointing']:.3f}    "
            f"{values['mass_ratio']:5.2f}  {values['auroc']:.3f}   {classes}"
        )
    lines.append(f"chance {result['chance']:.3f}; not visible {result['not_visible']}, scored {result['scored']}")
    rest = {key: value for key, value in result.items() if key not in ("maps", "chance", "not_visible", "scored")}
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in rest.items())])
