"""The maps are the forward pass: three ways to write the head, one answer."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camvib.errors import SettingsError
from camvib.images.baseline import Baseline
from camvib.networks import build, names, network_class
from camvib.networks.cnn_fc import CnnFc
from camvib.networks.gap_cnn import GapCnn
from camvib.networks.heads import HEADS, NaiveHead, probabilities
from camvib.networks.output import Network
from camvib.settings import ImageSettings, ModelSettings, Settings


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


def drawn(name: str) -> tuple[Network, tuple[torch.Tensor, ...]]:
    """A network of random weights in evaluation mode, and what it is asked of three images."""
    torch.manual_seed(1)
    image = ImageSettings(rows=32, columns=16)
    settings = Settings(image=image, model=ModelSettings(name=name, channels=(4, 6, 8), widths=(4, 6, 8)))
    net = build(4, settings)
    images = torch.randn(3, 32, 16)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    if not net.needs_baseline:
        return net.eval(), (images,)
    known = Baseline.of(8 * torch.randn(5, 32, 16).numpy())
    beside = (torch.from_numpy(values).expand(3, -1) for values in (known.mean_db, known.spread_db))
    return net.eval(), (8 * images, *beside)


@pytest.mark.parametrize("name", names())
def test_every_network_keeps_the_protocol_and_its_maps_add_up(name: str) -> None:
    net, given = drawn(name)
    output = net(*given)
    assert issubclass(network_class(name), Network)
    assert output.logits.shape == (3, 4)
    assert output.embedding.ndim == 2
    assert output.maps.shape[:2] == (3, 4)
    assert any(module is net.layer for module in net.modules())
    assert output.logits.std() > 0
    assert (output.change is not None) == net.needs_baseline
    if net.bias is None:  # it cannot say where, and does not claim to
        assert not output.maps.any()
    else:
        assert output.maps.std() > 0
        assert torch.allclose(output.maps.mean(dim=(2, 3)) + net.bias, output.logits, atol=1e-4)


@pytest.mark.parametrize("name", names())
def test_every_network_answers_alike_alone_and_in_a_batch(name: str) -> None:
    net, given = drawn(name)
    together, alone = net(*given), net(*(value[:1] for value in given))
    assert torch.allclose(together.logits[:1], alone.logits, atol=1e-4)


@pytest.mark.parametrize("name", names())
def test_every_networks_weights_can_be_learned(name: str) -> None:
    net, given = drawn(name)
    net.train()
    torch.nn.functional.cross_entropy(net(*given).logits, torch.tensor([0, 1, 2])).backward()
    graded = [parameter.grad is not None and bool(parameter.grad.any()) for parameter in net.parameters()]
    assert sum(graded) > 0.8 * len(graded)


def test_a_network_is_a_file_with_its_name_and_another_name_is_refused() -> None:
    assert {"gap_cnn", "change_cnn", "place_cnn", "row_linear", "cnn_fc"} <= set(names())
    with pytest.raises(SettingsError, match="there is no network 'resnet'") as caught:
        build(2, Settings(model=ModelSettings(name="resnet")))
    assert "gap_cnn" in caught.value.remedy
