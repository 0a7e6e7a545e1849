"""The network that ships: read without pickle, whole or not at all, and the same answers on every machine."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from camvib.errors import ModelError
from camvib.networks.change_cnn import ChangeCnn
from camvib.networks.pretrained import (
    load_pretrained,
    pretrained_state,
    read_pretrained,
    start_from,
    write_pretrained,
)
from camvib.simulation.faults import LABELS

SIDE = 128


def a_line_that_is_gone() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An image of speckle whose baseline knows a line in row 40, the same on every machine."""
    rows, columns = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    speckle = 4 * np.sin(1.7 * rows + 0.9 * columns) + 3 * np.sin(0.31 * rows * columns + 2)
    image = -60 - 0.1 * rows + speckle
    baseline = image.mean(axis=1) - image.mean()
    baseline[39:42] += np.array([9.0, 18.0, 9.0])
    values = (image[None], baseline[None], np.full((1, SIDE), 5.0))
    image_db, mean, spread = (torch.from_numpy(value.astype(np.float32)) for value in values)
    return image_db, mean, spread


def test_the_package_holds_it_in_under_4_mib_and_without_pickle() -> None:
    folder = files("camvib.networks") / "weights"
    assert sum(len((folder / f"change_cnn.{end}").read_bytes()) for end in ("npz", "json")) < 4 * 2**20
    with (folder / "change_cnn.npz").open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "fi" for name in stored.files)
    shipped = load_pretrained()
    assert shipped.classes == LABELS
    assert shipped.card["command"] == "make pretrain"
    assert set(pretrained_state()) == set(shipped.network().state_dict())


def test_it_says_that_a_line_is_gone_and_where() -> None:
    output = load_pretrained().network()(*a_line_that_is_gone())
    signed = output.change.signed[0].detach().numpy()
    assert signed[39:42].min(axis=0).mean() < -0.5
    assert np.abs(np.delete(signed, slice(35, 46), axis=0)).mean() < 0.1
    total = output.maps.double().mean(dim=(2, 3)) + load_pretrained().network().classes.bias
    assert torch.allclose(total, output.logits.double(), atol=1e-4)


def test_its_answer_is_the_committed_one() -> None:
    """Golden: made by this code when the weights were written; a change of the layers or of the reading shows here."""
    kept = json.loads((Path(__file__).parent / "pretrained_answer.json").read_text())
    output = load_pretrained().network()(*a_line_that_is_gone())
    assert kept["digest"] == load_pretrained().card["digest"]
    assert output.logits[0].tolist() == pytest.approx(kept["logits"], abs=2e-3)
    assert output.presence is not None
    assert output.presence[0].tolist() == pytest.approx(kept["presence"], abs=2e-3)
    assert output.change.signed.mean(dim=2)[0].tolist() == pytest.approx(kept["signed"], abs=1e-3)


def test_weights_that_are_not_those_of_the_card_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_pretrained(tmp_path / "a", ChangeCnn(3, (8, 12, 16), 32), ("healthy", "a", "b"), {})
    torch.manual_seed(1)
    write_pretrained(tmp_path / "b", ChangeCnn(3, (8, 12, 16), 32), ("healthy", "a", "b"), {})
    (tmp_path / "a" / "change_cnn.npz").replace(tmp_path / "b" / "change_cnn.npz")
    with pytest.raises(ModelError, match="not those of digest"):
        read_pretrained(tmp_path / "b")
    with pytest.raises(ModelError, match=r"change_cnn\.npz"):
        read_pretrained(tmp_path / "a")


def test_a_network_goes_on_from_what_fits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_pretrained(tmp_path, ChangeCnn(3, (8, 12, 16), 32), ("healthy", "crack", "impact"), {})
    shipped = read_pretrained(tmp_path)
    torch.manual_seed(1)
    network = ChangeCnn(4, (8, 12, 16), 32)
    fresh = {name: value.clone() for name, value in network.state_dict().items()}
    assert start_from(shipped, network, ("normal", "looseness", "impact", "worn")) == [
        "twin", "trunk", "votes for healthy", "votes for impact",
    ]  # fmt: skip
    state = network.state_dict()
    assert torch.equal(state["twin.out.weight"], shipped.state["twin.out.weight"])
    assert torch.equal(state["classes.mix.0.weight"], shipped.state["classes.mix.0.weight"])
    votes = state["classes.vote.weight"]
    assert torch.equal(votes[[0, 2]], shipped.state["classes.vote.weight"][[0, 2]])
    assert torch.equal(votes[[1, 3]], fresh["classes.vote.weight"][[1, 3]])

    with_presence = ChangeCnn(3, (8, 12, 16), 32)
    with_presence.classes.add_presence()
    write_pretrained(tmp_path, with_presence, ("healthy", "crack", "impact"), {})
    copy = ChangeCnn(3, (8, 12, 16), 32)
    copy.classes.add_presence()
    assert start_from(read_pretrained(tmp_path), copy, ("ok", "crack", "impact"))[-1] == "presence"

    other = ChangeCnn(4, (8, 12, 24), 64)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    assert start_from(shipped, other, ("healthy", "a", "b", "c")) == []
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
