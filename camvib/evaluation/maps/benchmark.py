"""The map benchmark: protocols A, B, B2, B3 and C on fresh specimens, as one table and one file.

No other program is needed to repeat it: `evaluate_maps` simulates specimens from a seed, lets a model folder of
``camvib train`` explain them, beside every trivial map and the usual attribution methods, and scores all of them
against the cells where the recording differs from its healthy twin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camvib.evaluation.maps import transfer as other_structures
from camvib.evaluation.maps.answers import answer, baseline_for, load_judged
from camvib.evaluation.maps.checks import deletion, peer_maps, randomised
from camvib.evaluation.maps.data import CLASSES, MapData, simulated, true_faults
from camvib.evaluation.maps.notch import changed_share
from camvib.evaluation.maps.planted_hum import planted_hum
from camvib.evaluation.maps.scores import bootstrap_macro, macro, score_maps, with_intervals
from camvib.evaluation.maps.specificity import both_visible, specificity
from camvib.evaluation.maps.trivial import trivial_classifiers, trivial_maps
from camvib.images.baseline import level_free
from camvib.learning.scores import classification_figures
from camvib.model.model import Model
from camvib.simulation.fleet import OTHER_RIG, FleetPlan

TEMPLATE_SEED = 101  # a training seed: the trivial classifiers and the template learn from it
PER_SPECIMEN = 10
Maps = dict[str, NDArray[np.floating]]


def evaluate_maps(
    model: Path,
    *,
    seed: int,
    specimens: int = 40,
    plain: Path | None = None,
    no_twins: Path | None = None,
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
        Run folder or model folder of ``camvib train``, of any network.
    seed : int
        Of the specimens; recordings with two faults are of seed + 1, those of another rig of seed + 2,
        those with a planted hum of seed + 3.
    specimens : int
        Ten recordings each.
    plain : Path, optional
        A run of a network that compares with nothing: its class map, and attribution methods on it. A `model` that
        compares with nothing stands there itself.
    no_twins : Path, optional
        A run that was trained without simulated twins: its maps stand beside those of `model`.
    out : Path, optional
        The JSON file to write.
    figures : Path, optional
        Folder for the picture grid.
    deletions : int
        Recordings of the deletion test, which is the slowest; 0 leaves it out.
    learn : int
        Recordings that the trivial classifiers and the healthy template learn from.
    measured : Path, optional
        Folder that holds the measured cantilevers of `camvib.evaluation.maps.transfer.MEASURED`; those that are not
        there are left out.
    peers : bool
        Whether to explain the networks with the usual attribution methods as well.
    progress : callable
        Called with lines of text.

    Returns
    -------
    dict
        What `out` holds.

    Raises
    ------
    ModelError
        A folder holds no model of the simulator's classes.
    """
    judged = _Judged.load(model, plain, no_twins)
    progress(f"simulating {specimens * PER_SPECIMEN} recordings of seed {seed}, and {learn} to learn from")
    data = simulated(FleetPlan(specimens * PER_SPECIMEN, seed))
    learned = simulated(FleetPlan(learn, TEMPLATE_SEED))
    faulty = data.labels != CLASSES[0]
    visible = data.select(data.visible)
    result: dict[str, Any] = {
        "not_visible": int((faulty & ~data.visible).sum()),
        "scored": len(visible),
        "seeds": {"evaluated": [seed + k for k in range(4)], "specimens": specimens},
        "models": judged.described(),
        "classification": _classification(judged, data, learned),
    }
    progress(f"explaining {len(visible)} visible faults")
    template = level_free(learned.images_db[learned.labels == CLASSES[0]].astype(np.float32)).mean(axis=(0, 2))
    maps, worst = _shown_maps(judged, visible)
    maps |= trivial_maps(visible, template)
    if peers and judged.plain:
        maps |= _peers(judged.plain, visible)
    scores = {name: score_maps(values, visible.evidence) for name, values in maps.items()}
    result["maps"] = with_intervals(scores, visible.labels, visible.groups)
    result["chance"] = macro((visible.evidence != 0).mean(axis=(1, 2)), visible.labels)
    result |= _gains(scores, visible)
    result["add_up_error"] = worst
    if peers and judged.plain is not judged.model:
        result["peers_on_change"] = _peers_on_change(judged.model, visible)
    progress("two faults at once, other rigs")
    result |= _transfer(judged.model, seed, specimens, measured)
    progress("deletion, random weights, a planted hum, notched regions")
    result |= _checks(judged.model, data, seed, deletions, learn)
    if figures:
        from camvib.evaluation.maps.figures import picture_grid  # pictures need matplotlib, figures do not

        picture_grid(visible, maps, figures / "maps-grid.png")
    result = _without_nan(result)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
    return result


@dataclass(frozen=True, eq=False)
class _Judged:
    """The model, and those that stand beside it."""

    model: Model
    plain: Model | None
    no_twins: Model | None

    @classmethod
    def load(cls, model: Path, plain: Path | None, no_twins: Path | None) -> _Judged:
        shown, beside, without = (load_judged(path) if path else None for path in (model, plain, no_twins))
        assert shown is not None
        return cls(shown, beside or (None if shown.needs_baseline else shown), without)

    @property
    def named(self) -> Mapping[str, Model]:
        """By the name of their class map's row; a model stands in two rows where it is the plain one as well."""
        given = {"camvib": self.model, "camvib_no_twins": self.no_twins, "plain_cam": self.plain}
        return {name: model for name, model in given.items() if model is not None}

    def described(self) -> dict[str, Any]:
        """Digest, network and card of each."""
        return {
            name: {"digest": model.digest, "network": model.network_name, **model.card}
            for name, model in self.named.items()
        }


def _classification(judged: _Judged, data: MapData, learned: MapData) -> dict[str, Any]:
    """Protocol A: the model first, the others and the trivial classifiers beside it."""
    figures = {}
    for name, model in judged.named.items():
        baseline = baseline_for(model.diagnoser.image, data)
        logits = model.predict(data.waveforms, baseline).logits
        row = "plain_gap_cnn" if name == "plain_cam" else name
        figures[row] = classification_figures(
            data.labels.tolist(), logits, model.classes, multilabel=model.is_multilabel
        )
    shown = figures.pop("camvib")
    return {
        **shown,
        "baselines": {
            **trivial_classifiers(learned, data),
            **{name: figure["macro_f1"] for name, figure in figures.items()},
        },
        "recall_of": {name: figure["recall"] for name, figure in figures.items()},
    }


def _shown_maps(judged: _Judged, data: MapData) -> tuple[Maps, float]:
    """Class map of the true class and change map of every model; how far their maps are from adding up."""
    maps: Maps = {}
    worst = 0.0
    for name, model in judged.named.items():
        found = answer(model, data, true_faults(data), baseline_for(model.diagnoser.image, data))
        maps[name], worst = found.class_map, max(worst, found.add_up_error)
        if found.amount is not None and name.startswith("camvib"):
            maps[name.replace("camvib", "change")] = found.amount
    return maps, worst


def _peers(model: Model, data: MapData) -> Maps:
    return peer_maps(model, data, baseline_for(model.members[0].image, data))


def _peers_on_change(model: Model, data: MapData) -> dict[str, dict[str, float]]:
    """Average precision and pointing of the usual attribution methods on the network that compares with healthy."""
    scores = {name: score_maps(values, data.evidence) for name, values in _peers(model, data).items()}
    return {
        name: {"ap": macro(values[:, 0], data.labels), "pointing": macro(values[:, 1], data.labels)}
        for name, values in scores.items()
    }


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


def _transfer(model: Model, seed: int, specimens: int, measured: Path | None) -> dict[str, Any]:
    """Protocols B2 and B3: two faults at once, and rigs that no training saw."""
    pairs = simulated(FleetPlan(specimens * PER_SPECIMEN, seed + 1, faults_per_recording=2))
    pairs = pairs.select(both_visible(pairs))
    other = simulated(FleetPlan(specimens * PER_SPECIMEN // 2, seed + 2, family=OTHER_RIG))
    transfer = {"other_rig": other_structures.other_rig(model, other.select(other.visible))}
    for name, folder in other_structures.MEASURED.items():
        if measured and (measured / folder / "labels.csv").is_file():
            transfer[name] = other_structures.measured(model, name, measured / folder)
    baseline = baseline_for(model.diagnoser.image, pairs)
    return {"specificity": specificity(model, pairs, baseline), "transfer": transfer}


def _checks(model: Model, data: MapData, seed: int, deletions: int, learn: int) -> dict[str, Any]:
    """Protocol C: what the maps owe the network."""
    visible = data.select(data.visible)
    baseline = baseline_for(model.diagnoser.image, visible)
    some = np.linspace(0, len(visible) - 1, min(deletions, len(visible))).round().astype(int)
    hum = planted_hum(model, train_seed=TEMPLATE_SEED, seed=seed + 3, recordings=learn // 2)
    return {
        **(deletion(model, visible, baseline, some) if len(some) else {}),
        "randomised": randomised(model, visible, baseline),
        **({"planted_hum": hum} if hum else {}),
        "notch": changed_share(model, data),
    }


def _without_nan(value: Any) -> Any:
    """None in the place of what could not be measured: JSON has no other word for it."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and np.isnan(value) else value


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
    rest = {
        key: value for key, value in result.items() if key not in ("maps", "models", "chance", "not_visible", "scored")
    }
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in rest.items())])
