"""The maps are the forward pass: three ways to write the head, one answer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camvib.networks import build
from camvib.networks.cnn_fc import CnnFc
from camvib.networks.gap_cnn import GapCnn
from camvib.networks.heads import HEADS, NaiveHead, probabilities
from camvib.settings import ModelSettings, Settings


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(4, 128, 128, generator=torch.Generator().manual_seed(0))


def network(head: str, seed: int = 0) -> GapCnn:
    torch.manual_seed(seed)
    net = GapCnn(5, ModelSettings(head=head)).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(net.head.bias)
    return net


@pytest.mark.parametrize("head", ["conv1x1", "softmax", "sigmoid"])
def test_every_head_gives_the_logits_and_maps_of_the_naive_one(head: str, images: torch.Tensor) -> None:
    naive, other = network("naive"), network(head, seed=1)
    other.load_state_dict(naive.state_dict())
    expected, got = naive(images), other(images)
    assert torch.allclose(got.logits, expected.logits, atol=1e-5)
    assert torch.allclose(got.maps, expected.maps, atol=1e-5)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_the_mean_of_a_map_plus_its_bias_is_the_logit(head: str, images: torch.Tensor) -> None:
    net = network(head)
    output = net(images)
    assert output.maps.shape == (4, 5, 32, 32)
    assert torch.allclose(output.maps.mean(dim=(2, 3)) + net.head.bias, output.logits, atol=1e-5)


@given(seed=st.integers(0, 2**16), cells=st.integers(1, 6), scale=st.floats(0.01, 100))
def test_the_heads_agree_on_any_features(seed: int, cells: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = scale * torch.randn(2, 7, cells, cells + 1, generator=generator)
    reference = NaiveHead(7, 3)
    expected = reference(features)
    for name, cls in HEADS.items():
        head = cls(7, 3)
        head.load_state_dict(reference.state_dict())
        got = head(features)
        assert torch.allclose(got.logits, expected.logits, atol=1e-5 * max(1, scale)), name
        assert torch.allclose(got.maps, expected.maps, atol=1e-5 * max(1, scale)), name


def test_a_map_common_to_all_classes_changes_no_probability(images: torch.Tensor) -> None:
    """Why a contrast is shown: softmax leaves a map defined only up to one that all classes share."""
    net = network("conv1x1")
    before = net(images)
    with torch.no_grad():
        net.head.weight += torch.randn(1, net.head.weight.shape[1])
    after = net(images)
    assert torch.allclose(probabilities(after.logits, "conv1x1"), probabilities(before.logits, "conv1x1"), atol=1e-5)
    assert not torch.allclose(after.maps, before.maps, atol=1e-2)
    contrast = before.maps[:, 1] - before.maps[:, 0]
    assert torch.allclose(after.maps[:, 1] - after.maps[:, 0], contrast, atol=1e-4)


def test_a_map_equals_the_gradient_of_its_logit_times_features(images: torch.Tensor) -> None:
    """Grad-CAM's weights under global average pooling are the head's weights over the number of cells."""
    net = network("conv1x1")
    place = torch.linspace(0, 1, 128)[None, :, None].expand_as(images)
    features = net.features(torch.stack([images, place], dim=1)).detach().requires_grad_()
    output = net.head(features)
    gradient = torch.autograd.grad(output.logits[:, 2].sum(), features)[0]
    rebuilt = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1) * 32 * 32
    assert torch.allclose(rebuilt, output.maps[:, 2], atol=1e-4)


def test_sigmoid_probabilities_may_add_up_to_more_than_one() -> None:
    logits = torch.tensor([[4.0, 4.0, -4.0]])
    assert probabilities(logits, "sigmoid").sum() > 1.9
    assert probabilities(logits, "softmax").sum() == pytest.approx(1.0)


def test_the_black_box_classifies_and_leaves_all_to_its_bias(images: torch.Tensor) -> None:
    net = build(3, Settings(model=ModelSettings(name="cnn_fc"))).eval()
    assert isinstance(net, CnnFc)
    output = net(images)
    assert output.logits.shape == (4, 3)
    assert not output.maps.any()
