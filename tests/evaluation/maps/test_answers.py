"""A model folder is judged by name of class, on the map that the report shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from camvib.errors import ModelError
from camvib.evaluation.maps.answers import answer, baseline_for, class_numbers, explainable, load_judged
from camvib.evaluation.maps.checks import attribution_maps
from camvib.evaluation.maps.data import CLASSES, MapData, true_faults
from camvib.images.layer import layer_images
from camvib.networks.change_cnn import ChangeNetwork

NETWORKS = [("change_cnn",), ("gap_cnn",), ("gap_cnn", "row_linear")]


@pytest.mark.parametrize("networks", NETWORKS, ids="+".join)
def test_any_network_is_judged_from_its_folder(networks, data: MapData, make_model, tmp_path: Path) -> None:
    model = load_judged(make_model(*networks).save(tmp_path / "model"))
    faulty = data.select(data.visible)
    found = answer(model, faulty, true_faults(faulty), baseline_for(model.diagnoser.image, faulty))
    assert found.logits.shape == (len(faulty), len(CLASSES))
    assert found.class_map.shape == faulty.evidence.shape
    assert (found.change is not None) == (networks == ("change_cnn",))
    assert found.add_up_error <= 1e-4


def test_a_broken_identity_is_seen(data: MapData, make_model) -> None:
    model = make_model("gap_cnn")
    some = data.select(np.arange(2))
    baseline = baseline_for(model.diagnoser.image, some)

    def louder(module: torch.nn.Module, given: object, output: tuple) -> tuple:
        return output._replace(maps=output.maps + 0.5)

    model.diagnoser.network.register_forward_hook(louder)
    assert answer(model, some, some.labels, baseline).add_up_error == pytest.approx(0.5, abs=1e-3)


def test_classes_go_by_name_not_by_place(data: MapData, make_model) -> None:
    """The same network with its votes in another order gives the same maps for the same labels."""
    model, turned = make_model("change_cnn"), make_model("change_cnn")
    order = [0, 4, 2, 1, 3]
    network = turned.diagnoser.network
    assert isinstance(network, ChangeNetwork)
    with torch.no_grad():
        for values in (network.change.classes.vote.weight, network.change.classes.vote.bias):
            values.copy_(values[order].clone())
    turned = replace(turned, classes=tuple(model.classes[k] for k in order))
    visible = data.select(data.visible)
    baseline = baseline_for(model.diagnoser.image, visible)
    labels = true_faults(visible)
    assert answer(turned, visible, labels, baseline).class_map == pytest.approx(
        answer(model, visible, labels, baseline).class_map, abs=1e-4
    )


def test_a_baseline_never_holds_the_recording_that_it_judges(data: MapData, make_model) -> None:
    layer = make_model("gap_cnn").diagnoser.image
    row = int(np.flatnonzero(data.labels == "healthy")[0])
    other = np.array([k for k in range(len(data)) if k != row])
    twin = data.batch.twin.copy()
    twin[row] = np.random.default_rng(0).normal(size=twin.shape[1])
    spoiled = replace(data, batch=replace(data.batch, twin=twin))
    own, theirs = baseline_for(layer, data), baseline_for(layer, spoiled)
    assert np.array_equal(own.mean_db[row], theirs.mean_db[row])
    assert not np.array_equal(own.mean_db[other], theirs.mean_db[other])


@pytest.mark.parametrize("network", ["change_cnn", "gap_cnn"])
def test_attributions_run_on_a_models_network(network: str, data: MapData, make_model) -> None:
    member = make_model(network).members[0]
    some = data.select(np.flatnonzero(data.visible)[:2])
    images = torch.from_numpy(layer_images(member.image, some.waveforms))
    net = explainable(member, baseline_for(member.image, some))
    model_classes = class_numbers(make_model(network), some.labels)
    maps = attribution_maps(net, images, model_classes, images - 5)
    assert len(maps) == 6
    for name, values in maps.items():
        assert values.shape == images.shape, name
        assert np.isfinite(values).all(), name
    assert np.abs(maps["integrated_gradients"]).max() > 0


def test_a_model_of_other_classes_or_windows_is_refused(make_model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the simulator has"):
        load_judged(make_model("gap_cnn", classes=("healthy", "crack")).save(tmp_path / "classes"))
    with pytest.raises(ModelError, match="not those of the benchmark"):
        load_judged(make_model("gap_cnn", window_s=2.0).save(tmp_path / "window"))
