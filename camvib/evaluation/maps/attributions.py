"""The usual explanations of a classifier, by their published formulas, to compare class maps with.

Each function takes a classifier of images and returns one map an image, (batch, rows, columns), for the class
asked for. The CAM family reads the output of one layer through a hook; all but Grad-CAM's relatives that are
positive by definition keep their sign.

References
----------
.. [1] R. R. Selvaraju et al. Grad-CAM. ICCV 2017. arXiv:1610.02391.
.. [2] A. Chattopadhay et al. Grad-CAM++. WACV 2018. arXiv:1710.11063 (eq. 10 and 19).
.. [3] P.-T. Jiang et al. LayerCAM. IEEE TIP 30, 2021 (eq. 4 and 5).
.. [4] H. Wang et al. Score-CAM. CVPR Workshops 2020. arXiv:1910.01279.
.. [5] M. D. Zeiler, R. Fergus. Visualizing and understanding convolutional networks. ECCV 2014 (occlusion).
.. [6] M. Sundararajan, A. Taly, Q. Yan. Axiomatic attribution for deep networks. ICML 2017. arXiv:1703.01365.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

Classifier = Callable[[Tensor], Tensor]  # images (batch, rows, columns) → logits (batch, classes)


@dataclass(frozen=True, eq=False)
class Explainable:
    """A classifier, the layer that its class maps are made from, and what to fill removed cells with.

    Attributes
    ----------
    logits : callable
        Images (batch, rows, columns) → logits (batch, classes).
    layer : Module
        Its output, (batch, channels, rows, columns), is what the CAM family weighs.
    """

    logits: Classifier
    layer: nn.Module

    def activations(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Output of the layer, and the gradient of each image's logit of its class by it."""
        caught: list[Tensor] = []

        def catch(module: nn.Module, inputs: object, output: Tensor) -> None:
            caught.append(output if output.requires_grad else output.requires_grad_())

        with torch.enable_grad():
            hook = self.layer.register_forward_hook(catch)
            try:
                chosen = _of_class(self.logits(images), classes).sum()
            finally:
                hook.remove()
            (gradient,) = torch.autograd.grad(chosen, caught)
        return caught[0].detach(), gradient


def _of_class(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None])[:, 0]


def _resized(maps: Tensor, images: Tensor) -> Tensor:
    size = (images.shape[1], images.shape[2])
    return functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def grad_cam(net: Explainable, images: Tensor, classes: Tensor) -> Tensor:
    """Channels weighed with the mean of their gradient, positive part [1]_."""
    activation, gradient = net.activations(images, classes)
    weight = gradient.mean(dim=(2, 3), keepdim=True)
    return _resized((weight * activation).sum(dim=1).relu(), images)


def grad_cam_plus_plus(net: Explainable, images: Tensor, classes: Tensor) -> Tensor:
    """Channels weighed with their positive gradients, each place by its own factor [2]_."""
    activation, gradient = net.activations(images, classes)
    denominator = 2 * gradient**2 + activation.sum(dim=(2, 3), keepdim=True) * gradient**3
    factor = gradient**2 / torch.where(denominator == 0, torch.ones_like(denominator), denominator)
    weight = (factor * gradient.relu()).sum(dim=(2, 3), keepdim=True)
    return _resized((weight * activation).sum(dim=1).relu(), images)


def layer_cam(net: Explainable, images: Tensor, classes: Tensor) -> Tensor:
    """Each place weighed with its own positive gradient [3]_."""
    activation, gradient = net.activations(images, classes)
    return _resized((gradient.relu() * activation).sum(dim=1).relu(), images)


@torch.no_grad()
def score_cam(net: Explainable, images: Tensor, classes: Tensor, fill: Tensor) -> Tensor:
    """Channels weighed with what the class gains when only the channel's places are shown [4]_.

    Parameters
    ----------
    fill : Tensor, shape (batch, rows, columns)
        What is shown elsewhere.
    """
    activation, _ = net.activations(images, classes)
    base = _of_class(net.logits(fill), classes)
    gains = []
    for channel in range(activation.shape[1]):
        mask = _resized(activation[:, channel], images)
        low, high = mask.amin(dim=(1, 2), keepdim=True), mask.amax(dim=(1, 2), keepdim=True)
        mask = (mask - low) / (high - low).clamp_min(1e-9)
        gains.append(_of_class(net.logits(fill + mask * (images - fill)), classes) - base)
    weight = torch.stack(gains, dim=1).softmax(dim=1)[:, :, None, None]
    return _resized((weight * activation).sum(dim=1).relu(), images)


@torch.no_grad()
def occlusion(
    net: Explainable, images: Tensor, classes: Tensor, fill: Tensor, *, size: int = 16, stride: int = 12
) -> Tensor:
    """Fall of the class's logit when a square is filled, averaged over the squares on a cell [5]_."""
    whole = _of_class(net.logits(images), classes)
    total, count = torch.zeros_like(images), torch.zeros_like(images[0])
    # Squares reach over the border, so that border cells are covered as often as others.
    starts = [range(stride - size, side, stride) for side in images.shape[1:]]
    for top in starts[0]:
        for left in starts[1]:
            box = (slice(max(top, 0), top + size), slice(max(left, 0), left + size))
            covered = images.clone()
            covered[:, box[0], box[1]] = fill[:, box[0], box[1]]
            total[:, box[0], box[1]] += (whole - _of_class(net.logits(covered), classes))[:, None, None]
            count[box] += 1
    return total / count


def integrated_gradients(net: Explainable, images: Tensor, classes: Tensor, fill: Tensor, *, steps: int = 24) -> Tensor:
    """Gradient along the straight path from `fill`, times the way: adds up to the change of the logit [6]_."""
    total = torch.zeros_like(images)
    with torch.enable_grad():
        for step in range(steps):
            point = (fill + (step + 0.5) / steps * (images - fill)).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(_of_class(net.logits(point), classes).sum(), point)
            total += gradient
    return (images - fill) * total / steps
