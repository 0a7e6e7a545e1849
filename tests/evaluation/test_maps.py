"""Map scores against known answers; attributions against identities; the benchmark on a small set."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from camvib.augmentation.samples import draw_sample
from camvib.evaluation.maps import attributions as att
from camvib.evaluation.maps.benchmark import evaluate_maps
from camvib.evaluation.maps.checks import specificity
from camvib.evaluation.maps.data import CLASSES, FAULTS, MapData, simulated
from camvib.evaluation.maps.models import load_map_models, save_networks
from camvib.evaluation.maps.scores import bootstrap_macro, by_class, macro, score_map
from camvib.evaluation.maps.training import MapTraining, PlainCnn, cell_classes, change_data, train_change_without_twins
from camvib.evaluation.maps.transfer import MEASURED, measured
from camvib.evaluation.maps.trivial import trivial_maps
from camvib.networks.change_cnn import ChangeCnn
from camvib.networks.gap_cnn import GapCnn
from camvib.simulation.fleet import FleetPlan
from camvib.simulation.twins import EVIDENCE_DB


@pytest.fixture(scope="module")
def data() -> MapData:
    return simulated(FleetPlan(20, seed=77))


@pytest.fixture(scope="module")
def pairs() -> MapData:
    return simulated(FleetPlan(10, seed=78, faults_per_recording=2))


# Scores


@given(st.integers(0, 10_000), st.integers(2, 40))
@settings(max_examples=60, deadline=None)
def test_scores_agree_with_scikit_learn_ties_and_all(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    values, evidence = rng.integers(0, levels, (8, 9)), rng.integers(-1, 2, (8, 9))
    evidence[0, :2] = 0, 1
    ap, _, _, auroc = score_map(values, evidence)
    assert ap == pytest.approx(average_precision_score(evidence.ravel() != 0, values.ravel()))
    assert auroc == pytest.approx(roc_auc_score(evidence.ravel() != 0, values.ravel()))


def test_a_uniform_map_scores_at_chance_and_the_truth_at_one() -> None:
    evidence = np.zeros((10, 10), np.int8)
    evidence[2:4] = 1
    evidence[6, :5] = -1
    assert score_map(np.full((10, 10), 3.0), evidence) == pytest.approx((0.25, 0.25, 1.0, 0.5))
    assert score_map(np.abs(evidence), evidence) == pytest.approx((1.0, 1.0, 4.0, 1.0))


@given(st.integers(0, 10_000), st.floats(0.1, 50))
@settings(max_examples=30, deadline=None)
def test_scale_does_not_matter_and_offset_only_to_the_mass(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    values, evidence = rng.normal(size=(12, 12)), (rng.random((12, 12)) < 0.2).astype(np.int8)
    evidence[0, 0] = 1
    plain = score_map(values, evidence)
    assert score_map(scale * values, evidence) == pytest.approx(plain)
    moved = score_map(values + 5, evidence)
    assert (moved[0], moved[1], moved[3]) == pytest.approx((plain[0], plain[1], plain[3]))


def test_a_class_that_a_net_cannot_find_stays_in_the_mean() -> None:
    scores = np.array([[0.0, 0, 0, 0], [1.0, 1, 1, 1], [1.0, 1, 1, 1]])
    assert by_class(scores, np.array(["crack", "impact", "impact"]))["macro"]["ap"] == 0.5


def test_the_interval_is_over_specimens_not_recordings() -> None:
    rng = np.random.default_rng(0)
    specimen = rng.normal(0, 1, 20)
    values, groups = np.repeat(specimen, 50), np.repeat(np.arange(20).astype(str), 50)
    labels = np.array(["crack"] * 1000)
    low, high = bootstrap_macro(values, labels, groups)
    assert high - low == pytest.approx(2 * 1.96 * specimen.std() / np.sqrt(20), rel=0.15)
    assert low < macro(values, labels) < high


# Data


def test_the_difference_is_what_the_evidence_is_cut_from(data: MapData) -> None:
    difference = data.difference_db.astype(np.float32)
    sharp = np.abs(np.abs(difference) - EVIDENCE_DB) > 0.02  # half precision
    cut = np.where(np.abs(difference) > EVIDENCE_DB, np.sign(difference), 0)
    assert np.array_equal(cut[sharp], data.evidence[sharp])
    assert (data.evidence[data.labels == "healthy"] == 0).all()


def test_cells_are_given_to_the_fault_that_they_come_from(pairs: MapData) -> None:
    cells = cell_classes(pairs.labels, pairs.one_off)
    for label, cell, one_off in zip(pairs.labels, cells, pairs.one_off, strict=True):
        allowed = {-1, *(CLASSES.index(name) for name in label.split("+") if name in FAULTS)}
        assert set(np.unique(cell).tolist()) <= allowed
        assert (cell[(one_off != 0).all(axis=0)] == -1).all()


def test_a_sample_moves_image_difference_and_baseline_together(data: MapData) -> None:
    settings_ = MapTraining(healthy_share=0.0)
    rows = np.flatnonzero(data.visible)[:6]
    sample = draw_sample(change_data(data), rows, settings_, np.random.default_rng(3))
    areas = (np.abs(data.difference_db[rows].astype(np.float32)) > EVIDENCE_DB).mean(axis=(1, 2))
    moved = (sample.difference.abs() > EVIDENCE_DB).float().mean(dim=(1, 2)).numpy()
    assert moved == pytest.approx(areas, rel=0.4)  # rows at the border go in and out
    # Evidence of a gain is where the image is above its baseline, also after the move.
    level = sample.image - sample.image.mean(dim=(1, 2), keepdim=True) - sample.baseline[:, :, None]
    assert level[sample.difference > EVIDENCE_DB].mean() > level.mean() + 2


def test_without_twins_no_faulty_recording_teaches_the_twin(data: MapData) -> None:
    """Faulty images may be replaced by noise: the twin that is learned stays the same."""
    settings_ = MapTraining(epochs=1, batch_size=10, widths=(8, 8, 8))
    faulty = data.labels != CLASSES[0]
    spoiled = dataclasses.replace(
        data,
        images_db=np.where(faulty[:, None, None], np.float16(1.0), data.images_db),
        difference_db=np.full_like(data.difference_db, 9.0),
        evidence=np.ones_like(data.evidence),
    )
    twins = [train_change_without_twins(d, settings_, settings_).twin.state_dict() for d in (data, spoiled)]
    assert all(torch.equal(a, b) for a, b in zip(twins[0].values(), twins[1].values(), strict=True))


# Attributions


class Quadratic(torch.nn.Module):
    """A net with a known gradient."""

    def forward(self, images: Tensor) -> Tensor:
        weight = torch.linspace(-1, 1, images[0].numel()).reshape(images.shape[1:])
        linear = (images * weight).mean(dim=(1, 2))
        return torch.stack([linear, linear + images.square().mean(dim=(1, 2))], dim=1)


@pytest.fixture
def gap_cnn() -> tuple[GapCnn, att.Explainable, Tensor]:
    torch.manual_seed(1)
    net = GapCnn(3).eval()
    return net, att.Explainable(lambda images: net(images).logits, net.features), torch.randn(2, 32, 32)


def test_grad_cam_of_a_gap_network_is_its_class_map(gap_cnn) -> None:
    """With global average pooling, Grad-CAM is the class map over the number of cells, cut at 0."""
    net, explainable, images = gap_cnn
    classes = torch.tensor([2, 0])
    exact = net(images).maps[torch.arange(2), classes].relu()
    cells = exact[0].numel()
    expected = torch.nn.functional.interpolate(exact[:, None] / cells, size=(32, 32), mode="bilinear")[:, 0]
    assert torch.allclose(att.grad_cam(explainable, images, classes), expected, atol=1e-7)
    assert expected.max() > 0


def test_layer_cam_is_below_where_the_gradient_is_uniform(gap_cnn) -> None:
    """Of a GAP network, LayerCAM is the class map of the channels of positive weight."""
    net, explainable, images = gap_cnn
    classes = torch.tensor([1, 1])
    features = net.features(torch.stack([images, torch.linspace(0, 1, 32)[None, :, None].expand_as(images)], dim=1))
    weight = net.head.weight[1].relu()
    expected = torch.einsum("k,bkft->bft", weight, features) / features[0, 0].numel()
    expected = torch.nn.functional.interpolate(expected[:, None], size=(32, 32), mode="bilinear")[:, 0]
    assert torch.allclose(att.layer_cam(explainable, images, classes), expected, atol=1e-6)


def test_grad_cam_plus_plus_follows_its_equation_on_one_channel() -> None:
    """With one positive gradient g and activations A, the weight is cells × g² / (2 g² + Σ A g³) × g."""
    images = torch.rand(1, 4, 4) + 0.5

    class Scale(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x[:, None]

    layer = Scale()
    net = att.Explainable(lambda x: 3 * layer(x).sum(dim=(2, 3)), layer)
    activation = 2 * images
    weight = 16 * 9 / (2 * 9 + activation.sum() * 27) * 3
    got = att.grad_cam_plus_plus(net, images, torch.tensor([0]))
    assert torch.allclose(got, weight * activation, rtol=1e-5)


def test_integrated_gradients_add_up_to_the_change_of_the_logit() -> None:
    torch.manual_seed(0)
    net = Quadratic()
    images, fill, classes = torch.randn(3, 8, 8), torch.randn(3, 8, 8), torch.tensor([0, 1, 1])
    maps = att.integrated_gradients(att.Explainable(net, net), images, classes, fill)
    rise = (net(images) - net(fill)).gather(1, classes[:, None])[:, 0]
    assert torch.allclose(maps.sum(dim=(1, 2)), rise, atol=1e-5)


def test_occlusion_of_a_linear_net_is_the_mean_of_the_squares_on_a_cell() -> None:
    net = Quadratic()
    images, fill = torch.ones(1, 8, 8), torch.zeros(1, 8, 8)
    maps = att.occlusion(att.Explainable(net, net), images, torch.tensor([0]), fill, size=2, stride=2)
    weight = torch.linspace(-1, 1, 64).reshape(4, 2, 4, 2).sum(dim=(1, 3)) / 64
    assert torch.allclose(maps[0], weight.repeat_interleave(2, 0).repeat_interleave(2, 1), atol=1e-6)


def test_score_cam_shows_the_channel_that_raises_the_class() -> None:
    class Halves(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            top, bottom = torch.zeros_like(x), torch.zeros_like(x)
            top[:, :4], bottom[:, 4:] = x[:, :4].relu(), x[:, 4:].relu()
            return torch.stack([top, bottom], dim=1)

    layer = Halves()
    net = att.Explainable(lambda x: 40 * layer(x).mean(dim=(2, 3)), layer)
    images, fill = torch.rand(1, 8, 8) + 0.5, torch.zeros(1, 8, 8)
    maps = att.score_cam(net, images, torch.tensor([1]), fill)[0]
    assert maps[4:].sum() > 20 * maps[:4].sum()


# The benchmark


def test_trivial_maps_beat_chance_and_the_ceiling_beats_them(data: MapData) -> None:
    visible = data.select(data.visible)
    maps = trivial_maps(visible, data.baselines_db[0].mean(axis=0))
    scores = {
        name: np.mean([score_map(m, e)[0] for m, e in zip(values, visible.evidence, strict=True)])
        for name, values in maps.items()
    }
    assert scores["uniform"] == pytest.approx((visible.evidence != 0).mean(), abs=1e-6)
    assert scores["uniform"] < scores["baseline_difference"] < scores["ceiling"] < 1


def test_the_change_map_alone_knows_no_fault_from_another(pairs: MapData) -> None:
    """A network whose votes are all alike has the change map as every class map: each order wins half the time."""
    torch.manual_seed(0)
    network = ChangeCnn(5, (8, 12, 16)).eval()
    with torch.no_grad():
        network.classes.vote.weight.zero_()
        network.classes.vote.bias.zero_()
    figures = specificity(network, pairs)
    assert figures["share"] == 0.5
    assert figures["ap_difference"] == pytest.approx(0, abs=1e-9)
    assert figures["share_same_evidence"] == 0.0


def test_the_benchmark_writes_its_contract(tmp_path: Path) -> None:
    torch.manual_seed(0)
    networks = {name: ChangeCnn(5, (8, 8, 8)) for name in ("change", "change_no_twins")} | {"plain": PlainCnn()}
    folder = save_networks(tmp_path / "model", networks, {"trained": [1]})
    again = load_map_models(folder)
    assert again.change is not None
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.change.state_dict().values(), networks["change"].state_dict().values(), strict=True)
    )
    out = tmp_path / "maps.json"
    evaluate_maps(folder, seed=79, specimens=1, out=out, deletions=1, learn=20, progress=lambda text: None)
    result = json.loads(out.read_text())
    names = "camvib change camvib_no_twins change_no_twins plain_cam uniform energy template_difference " + (
        "baseline_difference gradcam gradcam_plus_plus layercam scorecam occlusion integrated_gradients ceiling"
    )
    assert set(result["maps"]) == set(names.split())
    assert all(set(row["macro"]) == {"ap", "pointing", "mass_ratio", "auroc"} for row in result["maps"].values())
    assert set(result["gain_over_baseline_difference"]) == {"ap", "low", "high"}
    assert {"share", "ap_difference", "low", "high"} <= set(result["specificity"])
    assert {"ap", "baseline_difference"} <= set(result["transfer"]["other_rig"])
    assert set(names.split()[9:15]) <= set(result["deletion"])
    assert {"ap", "auroc", "chance"} <= set(result["randomised"])
    assert set(result["classification"]["recall"]) == set(CLASSES)
    assert result["add_up_error"] < 1e-4


@pytest.mark.parametrize("name", MEASURED)
def test_measured_cantilevers_are_scored_where_physics_has_the_evidence(name: str, shared_data: Path) -> None:
    torch.manual_seed(0)
    network = ChangeCnn(len(CLASSES), (8, 8, 8)).eval()
    found = measured(network, name, shared_data / name)
    assert 0.01 < found["chance"] < 0.06
    assert found["baseline_difference"] > 3 * found["chance"]
    assert found["low"] <= found["change"] - found["baseline_difference"] <= found["high"]
