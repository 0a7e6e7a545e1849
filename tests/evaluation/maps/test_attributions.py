"""Attributions against identities."""

import pytest
import torch
from torch import Tensor

from camvib.evaluation.maps import attributions as att
from camvib.networks.gap_cnn import GapCnn


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
