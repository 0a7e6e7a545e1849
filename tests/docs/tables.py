"""Tables of the documentation, generated whole from the committed results.

A page has the table between ``<!-- table: NAME -->`` and ``<!-- /table -->``; NAME is a key of `TABLES`. Run
``python tests/docs/tables.py`` to write all pages anew; a test fails where a page and the results differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "benchmarks" / "results"
PLACE = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- /table -->)", re.DOTALL)
FIGURE = re.compile(r"\{([\w.]+):([^}]+)\}")
NOTHING = "–"

Row = Sequence[str]  # cells; {key:format} stands for a figure of the results file

_FAULTS = ("crack", "loose_clamp", "impact", "tip_mass")
_PEERS = {
    "occlusion": "occlusion",
    "integrated_gradients": "integrated gradients",
    "scorecam": "Score-CAM",
    "layercam": "LayerCAM",
    "gradcam_plus_plus": "Grad-CAM++",
    "gradcam": "Grad-CAM",
}


def _map_row(key: str, title: str) -> Row:
    macro = f"{{maps.{key}.macro.ap:.3f}}", f"{{maps.{key}.macro.pointing:.2f}}", f"{{maps.{key}.macro.auroc:.2f}}"
    return title, *macro, *(f"{{maps.{key}.by_class.{fault}.ap:.2f}}" for fault in _FAULTS)


def _peer_row(key: str, title: str) -> Row:
    figures = f"{{peers_on_change.{key}.ap:.3f}}", f"{{peers_on_change.{key}.pointing:.2f}}"
    return f"{title}, on the change network", *figures, *[""] * 5


def _training_row(title: str, key: str, target: str) -> Row:
    return title, f"{{over_seeds.{key}.mean:.3f}}", f"{{over_seeds.{key}.spread:.3f}}", target


def _four(key: str, form: str = ".2f") -> str:
    return ", ".join(f"{{{key}.{fault}:{form}}}" for fault in _FAULTS)


def _rig(key: str, first: str = "change") -> str:
    return f"{{transfer.{key}.{first}:.3f}} ({{transfer.{key}.baseline_difference:.3f}})"


TABLES: dict[str, tuple[str, Row, Sequence[Row]]] = {
    "maps": (
        "maps.json",
        ("map", "AP", "pointing", "AUROC", "crack", "loose clamp", "impact", "tip mass"),
        (
            _map_row("camvib", "**class map**"),
            _map_row("change", "**change map**"),
            _map_row("camvib_no_twins", "**class map, no twins**"),
            _map_row("change_no_twins", "**change map, no twins**"),
            _map_row("baseline_difference", "difference to the baseline"),
            _map_row("template_difference", "difference to the mean healthy spectrum"),
            _map_row("energy", "energy"),
            *(_peer_row(key, title) for key, title in _PEERS.items()),
            *(_map_row(key, title) for key, title in _PEERS.items()),
            _map_row("plain_cam", "class map of a plain GAP-CNN"),
            _map_row("uniform", "uniform"),
            _map_row("ceiling", "*ceiling*"),
        ),
    ),
    "map-checks": (
        "maps.json",
        ("", "figure", "target"),
        (
            (
                "class map over baseline difference, AP",
                "{gain_over_baseline_difference.ap:+.3f} ({gain_over_baseline_difference.low:+.3f} to "
                "{gain_over_baseline_difference.high:+.3f})",
                "interval above 0",
            ),
            (
                "the same without twins",
                "{gain_over_baseline_difference_no_twins.ap:+.3f} ({gain_over_baseline_difference_no_twins.low:+.3f} "
                "to {gain_over_baseline_difference_no_twins.high:+.3f})",
                "interval above 0",
            ),
            ("macro-F1", "{classification.macro_f1:.3f}", "0.92"),
            ("crack recall", "{classification.recall.crack:.2f}", "0.80"),
            ("macro-F1 without twins", "{classification.baselines.camvib_no_twins:.3f}", "0.85"),
            ("macro-F1, plain GAP-CNN", "{classification.baselines.plain_gap_cnn:.3f}", ""),
            (
                "macro-F1, best classifier without a network",
                "{classification.baselines.baseline_difference_logistic_regression:.3f}",
                "",
            ),
            (
                "two faults, cells that one of them changed: map A less map B, AUROC",
                "{specificity.exclusive_auroc:.3f}",
                "0.90",
            ),
            ("the same cells by the one map of A, AUROC", "{specificity.own_auroc:.3f}", "0.85"),
            ("the same, by fault: crack, loose clamp, impact, tip mass", _four("specificity.own_auroc_by_class"), ""),
            (
                "two faults, maps in contrast form: map A less map B, AUROC",
                "{specificity.contrast.exclusive_auroc:.3f}",
                "",
            ),
            ("two faults: both named", "{specificity.both_named:.1%}", "80 %"),
            ("two faults: map of A higher on the evidence of A than on that of B", "{specificity.share:.1%}", ""),
            ("the same with the contrast of the two maps, A rather than B", "{specificity.share_contrast:.1%}", ""),
            ("the same, were every changed cell given to the fault that it is due to", "{specificity.ceiling:.1%}", ""),
            ("the same, by fault: crack, loose clamp, impact, tip mass", _four("specificity.by_class", ".0%"), ""),
            ("in cells due to A alone, map of A above map of B, by fault", _four("specificity.votes_right", ".0%"), ""),
            (
                "two faults: on the evidence of A, map of A higher than map of B",
                "{specificity.share_same_evidence:.1%}",
                "",
            ),
            ("a rig that no training saw: class map, AP (baseline difference)", _rig("other_rig", "ap"), "above it"),
            (
                "a measured cantilever on a shaker, 150 Hz vanishes: change map, AP (baseline difference)",
                _rig("shaker"),
                "above it, 0.91",
            ),
            (
                "a measured cantilever with a roller: change map, AP (baseline difference)",
                _rig("dropbear8"),
                "above it",
            ),
            (
                "fault verdicts that change when their top regions are brought to the healthy level",
                "{notch.changed_share:.1%}",
                "90 %",
            ),
            (
                "planted hum: healthy recordings with it that are called the planted class",
                "{planted_hum.fooled:.0%}",
                "",
            ),
            ("of these, strongest region on the hum", "{planted_hum.found:.0%}", "found"),
            (
                "random weights, AUROC ± its spread over networks",
                "{randomised.auroc:.3f} ± {randomised.auroc_spread:.3f}",
                "0.500",
            ),
            ("random weights, AP (chance)", "{randomised.ap:.3f} ({randomised.chance:.3f})", "at chance"),
            ("add-up error, logits", "{add_up_error:.0e}", "1e-04"),
        ),
    ),
    "map-trainings": (
        "maps.json",
        ("", "mean", "spread", "target"),
        (
            _training_row("change map, AP", "change_ap", "0.72"),
            _training_row("class map, AP", "class_map_ap", "0.72"),
            _training_row("class map, pointing", "class_map_pointing", "0.92"),
            _training_row("class map, AUROC", "class_map_auroc", ""),
            _training_row("class map, AP of cracks", "class_map_crack_ap", "0.40"),
            _training_row("macro-F1", "macro_f1", "0.92"),
            _training_row("recall of cracks", "crack_recall", "0.80"),
            _training_row("two faults: map A less map B, AUROC", "exclusive_auroc", "0.90"),
            _training_row("two faults: the one map of A, AUROC", "own_auroc", "0.85"),
            _training_row("two faults: the one map of a crack, AUROC", "own_auroc_crack", "0.75"),
            _training_row("two faults: both named", "both_named", "0.80"),
            _training_row("two faults: share", "specificity", ""),
            _training_row("verdicts that change when notched", "notch_changed_share", "0.90"),
            _training_row("without twins: class map, AP", "no_twins_ap", "0.52"),
            _training_row("without twins: pointing", "no_twins_pointing", "0.78"),
            _training_row("without twins: AP of cracks", "no_twins_crack_ap", "0.20"),
            _training_row("without twins: macro-F1", "no_twins_macro_f1", "0.85"),
        ),
    ),
    "map-deletion": (
        "maps.json",
        ("order", "deletion", "insertion"),
        tuple(
            (title, f"{{deletion.{key}:.3f}}", f"{{insertion.{key}:.3f}}")
            for key, title in {
                "camvib": "class map",
                "change": "change map",
                "evidence": "true difference",
                **_PEERS,
                "energy": "energy",
                "random": "random order",
            }.items()
        ),
    ),
}


def look_up(results: Any, key: str) -> Any:
    """Value under a dotted key, None where there is none."""
    for part in key.split("."):
        if not isinstance(results, dict) or part not in results:
            return None
        results = results[part]
    return results


def _cell(text: str, results: Any) -> str:
    def figure(match: re.Match[str]) -> str:
        value = look_up(results, match[1])
        return NOTHING if value is None else format(value, match[2]).replace("%", " %")

    return FIGURE.sub(figure, text)


def written(name: str) -> str:
    """A table as Markdown; rows of which nothing was measured are left out."""
    file, header, rows = TABLES[name]
    results = json.loads((RESULTS / file).read_text())
    lines = [header, ["---"] * len(header)]
    for row in rows:
        keys = [match[1] for cell in row for match in FIGURE.finditer(cell)]
        if any(look_up(results, key) is not None for key in keys):
            lines.append([_cell(cell, results) for cell in row])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def renewed(page: str) -> str:
    """The page with all its tables as the results have them."""
    return PLACE.sub(lambda match: match[1] + written(match[2]) + match[4], page)


def pages() -> list[Path]:
    """All pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


if __name__ == "__main__":
    for path in pages():
        before = path.read_text()
        if (after := renewed(before)) != before:
            path.write_text(after)
            print(path.relative_to(ROOT))
