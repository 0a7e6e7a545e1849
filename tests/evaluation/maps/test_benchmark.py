"""The benchmark on a small set writes its contract."""

import json
from pathlib import Path

from camvib.evaluation.maps.benchmark import evaluate_maps, table
from camvib.evaluation.maps.data import CLASSES

PEERS = {"gradcam", "gradcam_plus_plus", "layercam", "scorecam", "occlusion", "integrated_gradients"}
TRIVIAL = {"uniform", "energy", "template_difference", "baseline_difference", "ceiling"}


def test_a_change_network_beside_a_plain_one_and_one_without_twins(make_model, tmp_path: Path) -> None:
    change, plain = (make_model(name).save(tmp_path / name) for name in ("change_cnn", "gap_cnn"))
    out = tmp_path / "maps.json"
    found = evaluate_maps(
        change, seed=79, specimens=1, plain=plain, no_twins=change, out=out, deletions=1, learn=20,
        progress=lambda text: None,
    )  # fmt: skip
    result = json.loads(out.read_text())
    ours = {"camvib", "change", "camvib_no_twins", "change_no_twins", "plain_cam"}
    assert set(result["maps"]) == ours | PEERS | TRIVIAL
    for row in result["maps"].values():
        assert set(row["macro"]) == {"ap", "pointing", "mass_ratio", "auroc"}
    assert result["maps"]["camvib"] == result["maps"]["camvib_no_twins"]
    assert set(result["peers_on_change"]) == PEERS
    assert all(set(row) == {"ap", "pointing"} for row in result["peers_on_change"].values())
    assert set(result["gain_over_baseline_difference"]) == {"ap", "low", "high"}
    figures = {"share", "exclusive_auroc", "own_auroc", "own_auroc_by_class", "both_named", "contrast"}
    assert figures <= set(result["specificity"])
    assert {"change", "ap", "baseline_difference", "low", "high"} <= set(result["transfer"]["other_rig"])
    assert {"camvib", "change", *PEERS} <= set(result["deletion"])
    assert {"ap", "auroc", "chance"} <= set(result["randomised"])
    assert {"fooled", "found", "before"} <= set(result["planted_hum"])
    assert "changed_share" in result["notch"]
    assert set(result["classification"]["recall"]) == set(CLASSES)
    assert {"plain_gap_cnn", "camvib_no_twins", "level"} <= set(result["classification"]["baselines"])
    assert result["add_up_error"] <= 1e-4
    assert "integrated_gradients" in table(found)


def test_a_plain_model_stands_in_the_plain_row_itself(make_model, tmp_path: Path) -> None:
    model = make_model("gap_cnn", "row_linear").save(tmp_path / "model")
    result = evaluate_maps(
        model, seed=79, specimens=1, deletions=0, learn=20, peers=False, progress=lambda text: None
    )  # fmt: skip
    assert set(result["maps"]) == {"camvib", "plain_cam"} | TRIVIAL
    assert "planted_hum" not in result
    assert "change" not in result["transfer"]["other_rig"]
