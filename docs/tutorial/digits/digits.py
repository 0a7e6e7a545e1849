"""Which strokes made it a 7: the class maps of `camvib.networks` on handwritten digits.

The order is that of the lecture on class activation maps [1]_: a network with a fully connected layer
that cannot say where, global average pooling, and the map written naively, better and exactly [2]_.
``python docs/tutorial/digits/digits.py --out DIR`` trains on scikit-learn's bundled digits (8×8, 1797 of
them), or with ``--mnist DIR`` on MNIST's own files, prints what it finds and draws three pictures.

References
----------
.. [1] S. Lee, Class Activation Map (CAM), lecture of the Industrial AI Lab.
.. [2] B. Zhou, A. Khosla, A. Lapedriza, A. Oliva, A. Torralba. Learning Deep Features for
   Discriminative Localization. CVPR 2016.
.. [3] R. R. Selvaraju et al. Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
   Localization. ICCV 2017.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from camvib.diagnosis.contrast import contrast
from camvib.errors import CamvibError
from camvib.images.axes import Axes
from camvib.networks.cnn_fc import CnnFc
from camvib.networks.gap_cnn import GapCnn
from camvib.networks.output import Output
from camvib.records import ActivationMap
from camvib.settings import ModelSettings, TrainingSettings
from digit_images import SIZE, Digits, load_bundled, load_mnist

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Plot
    from matplotlib.figure import Figure

CLASSES = tuple("0123456789")
HEADS = ("naive", "conv1x1", "softmax")
ERASED = 0.25  # share of the ink that the deletion check takes away


@dataclass(frozen=True)
class Reader:
    """A trained network and the ink statistics that it expects."""

    network: nn.Module
    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Output:
        """Classify images, shape (n, 56, 56), ink 0 to 1."""
        self.network.eval()
        with torch.no_grad():
            parts = [self.network(part) for part in self.standardise(images).split(256)]
        return Output(*(torch.cat(tensors) for tensors in zip(*(part[:3] for part in parts), strict=True)))

    def standardise(self, images: Tensor) -> Tensor:
        """Ink in standard deviations from the mean."""
        return (images - self.mean) / self.std

    def accuracy(self, digits: Digits) -> float:
        """Share of the digits that are read right."""
        return float((self(digits.images).logits.argmax(dim=1) == digits.labels).float().mean())


def fit(network: nn.Module, digits: Digits, training: TrainingSettings, title: str) -> Reader:
    """Train on whole images, without augmentation: the lecture's setting, in as few lines as it takes.

    `camvib.learning.train` is for recordings: groups, early stopping, resume and waveform augmentation.
    """
    reader = Reader(network, digits.images.mean(), digits.images.std())
    optimizer = torch.optim.AdamW(network.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    steps = training.epochs * math.ceil(len(digits.images) / training.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=steps)
    order = torch.Generator().manual_seed(training.seed)
    network.train()
    with tqdm(total=steps, desc=title, unit="batch", file=sys.stderr) as bar:
        for _ in range(training.epochs):
            for batch in torch.randperm(len(digits.images), generator=order).split(training.batch_size):
                images = reader.standardise(digits.images[batch])
                loss = nn.functional.cross_entropy(network(images).logits, digits.labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
    return reader


def train_both(digits: Digits, training: TrainingSettings) -> tuple[Reader, Reader]:
    """Train the network that can say where, and the one that cannot: GapCnn and CnnFc."""
    torch.manual_seed(training.seed)
    gap_cnn, cnn_fc = GapCnn(len(CLASSES)), CnnFc(len(CLASSES), image=(SIZE, SIZE))
    return fit(gap_cnn, digits, training, "GapCnn"), fit(cnn_fc, digits, training, "CnnFc")


def with_head(reader: Reader, head: str) -> Reader:
    """Write the head another way; the weights stay the same."""
    network = GapCnn(len(CLASSES), ModelSettings.model_validate({"head": head}))
    network.load_state_dict(reader.network.state_dict())
    return Reader(network, reader.mean, reader.std)


def grad_cam(reader: Reader, image: Tensor, label: int) -> Tensor:
    """Grad-CAM without its final ReLU, times the number of cells; shape (rows, columns).

    Needs what the class map does not: a hook that catches the features, and a backward pass. After
    global average pooling the averaged gradient is ``weight / cells`` [3]_.
    """
    caught: list[Tensor] = []
    hook = reader.network.get_submodule("head").register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        logit = reader.network.eval()(reader.standardise(image[None])).logits[0, label]
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(logit, caught)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    cells = gradient.shape[2] * gradient.shape[3]
    return cells * (weights * caught[0]).sum(dim=1)[0].detach()


def equalities(reader: Reader, images: Tensor) -> dict[str, float]:
    """Largest gaps, in logits, between things that algebra says are equal.

    Returns
    -------
    dict
        ``heads``: maps and logits of the three heads; ``add_up``: mean of a map plus bias, and logit;
        ``grad_cam``: class map, and Grad-CAM times the number of cells (first ten images).
    """
    answers = [with_head(reader, head)(images) for head in HEADS]
    bias = reader.network.get_submodule("head").get_parameter("bias").detach()
    first = reader(images)
    heads = [float((a - b).abs().max()) for other in answers for a, b in zip(answers[0][:3], other[:3], strict=True)]
    add_up = [float((answer.maps.mean(dim=(2, 3)) + bias - answer.logits).abs().max()) for answer in answers]
    top = first.logits.argmax(dim=1).tolist()
    gradient = [
        float((grad_cam(reader, image, top[i]) - first.maps[i, top[i]]).abs().max())
        for i, image in enumerate(images[:10])
    ]
    return {"heads": max(heads), "add_up": max(add_up), "grad_cam": max(gradient)}


def explain(reader: Reader, image: Tensor, label: str, reference: str = "") -> ActivationMap:
    """Class map of one image, or its contrast with `reference`; axes are pixels, not Hz and s."""
    output = reader(image[None])
    rows, columns = output.maps.shape[2:]
    pixels = Axes(np.linspace(0, SIZE, rows + 1), np.linspace(0, SIZE, columns + 1))
    return contrast(output.maps[0].numpy(), output.logits[0].numpy(), CLASSES, label, reference, pixels)


def erase(image: Tensor, activation: ActivationMap, *, strongest: bool = True, share: float = ERASED) -> Tensor:
    """Take away the `share` of the ink that lies under the map's highest (or lowest) values."""
    values = torch.from_numpy(np.ascontiguousarray(activation.values))[None, None]
    fine = nn.functional.interpolate(values, size=image.shape, mode="bilinear", align_corners=False)[0, 0]
    order = fine.flatten().argsort(descending=strongest)
    ink = image.flatten()[order].double().cumsum(0)
    kept = image.flatten().clone()
    kept[order[ink <= share * ink[-1]]] = 0.0
    return kept.reshape(image.shape)


def deletion_check(reader: Reader, digits: Digits, label: str, reference: str) -> dict[str, float]:
    """Mean log(p_label / p_reference), in logits, over all digits of `label`: whole, and with ink erased.

    If the contrast points at the strokes that decide, erasing under its highest values costs much, and
    erasing as much ink under its lowest costs little or even helps.
    """
    images = digits.images[digits.labels == int(label)]
    maps = [explain(reader, image, label, reference) for image in images]
    pairs = list(zip(images, maps, strict=True))
    versions = {
        "whole": images,
        "strongest_erased": torch.stack([erase(image, found) for image, found in pairs]),
        "weakest_erased": torch.stack([erase(image, found, strongest=False) for image, found in pairs]),
    }
    logits = {name: reader(version).logits for name, version in versions.items()}
    return {name: float((z[:, int(label)] - z[:, int(reference)]).mean()) for name, z in logits.items()}


def map_scale(reader: Reader, images: Tensor) -> float:
    """Limit of the colour scale, in logits: the same for every picture, so that colours compare.

    The 99.5 % quantile of the contrast between best class and runner-up, rounded up to a multiple of 5.
    """
    output = reader(images)
    best = output.logits.topk(2).indices
    picture = torch.arange(len(images))
    contrasts = output.maps[picture, best[:, 0]] - output.maps[picture, best[:, 1]]
    return 5.0 * math.ceil(float(np.quantile(contrasts.abs().numpy(), 0.995)) / 5.0)


def _draw(plot: Plot, image: Tensor, values: NDArray[np.floating] | None, limit: float, title: str) -> Any:
    """Outline of the ink, and the map in it and around it: red for, blue against, white nothing."""
    extent = (0, SIZE, SIZE, 0)
    centres = np.arange(SIZE) + 0.5
    ink = image.numpy()
    plot.imshow(ink, cmap="Greys", vmin=0, vmax=1 if values is None else 4, extent=extent, interpolation="bilinear")
    shown = None
    if values is not None:
        shown = plot.imshow(
            values, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=extent, interpolation="bicubic", alpha=0.75
        )
        plot.contour(centres, centres, ink, levels=[0.4], colors="black", linewidths=1.2)
    plot.set(xticks=[], yticks=[], xlim=(0, SIZE), ylim=(SIZE, 0))
    plot.set_title(title, fontsize=9)
    return shown


def _finish(figure: Figure, shown: Any, plots: Any, path: Path) -> None:
    figure.colorbar(shown, ax=plots, shrink=0.8, pad=0.01, label="logits", extend="both")
    figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})


def row_picture(reader: Reader, digits: Digits, limit: float, path: Path) -> None:
    """Draw the first held-out digit of each class with the map of what it was read as."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    plots = figure.subplots(2, 5)
    for label, plot in enumerate(plots.flat):
        image = digits.images[digits.labels == label][0]
        read = int(reader(image[None]).logits.argmax())
        found = explain(reader, image, str(read))
        verdict = f"read as {read}" + ("" if read == label else f", wrong: it is {label}")
        shown = _draw(plot, image, found.values, limit, f"{verdict}\nlogit {found.logit:+.1f}")
    _finish(figure, shown, plots, path)


def seven_picture(reader: Reader, image: Tensor, limit: float, path: Path) -> dict[str, float]:
    """Draw the story of one 7: its maps of 7, 1 and 9, 7 against 1, and the 7 without its telling strokes.

    Returns
    -------
    dict
        The log-odds of 7 against 1, their bias and map parts, and what is left after erasing, in logits.
    """
    from matplotlib.figure import Figure

    against = explain(reader, image, "7", "1")
    without = erase(image, against)
    left = reader(without[None]).logits[0]
    figure = Figure(figsize=(14, 2.9), layout="constrained")
    plots = figure.subplots(1, 6)
    _draw(plots[0], image, None, limit, "a 7 never trained on")
    for plot, label in zip(plots[1:4], "719", strict=True):
        found = explain(reader, image, label)
        _draw(plot, image, found.values, limit, f"class map of {label}\nlogit {found.logit:+.1f}")
    title = f"7 against 1\nlog(p₇/p₁) = {against.logit:+.1f}"
    shown = _draw(plots[4], image, against.values, limit, title)
    odds_left = float(left[7] - left[1])
    title = f"{100 * ERASED:.0f} % of the ink erased,\nreddest first: {odds_left:+.1f}"
    _draw(plots[5], without, None, limit, title)
    _finish(figure, shown, plots, path)
    return {
        "log_odds": against.logit,
        "bias": against.bias,
        "map_mean": float(against.values.mean()),
        "erased": odds_left,
        "erased_read_as": int(left.argmax()),
    }


def equal_picture(reader: Reader, image: Tensor, limit: float, path: Path) -> None:
    """Draw the map of 7 as the three heads give it, and as Grad-CAM does."""
    from matplotlib.figure import Figure

    maps = {head: with_head(reader, head)(image[None]).maps[0, 7] for head in HEADS}
    maps["Grad-CAM × cells, no ReLU"] = grad_cam(reader, image, 7)
    figure = Figure(figsize=(10.5, 2.9), layout="constrained")
    plots = figure.subplots(1, 4)
    for plot, (name, values) in zip(plots, maps.items(), strict=True):
        gap = float((values - maps["naive"]).abs().max())
        shown = _draw(plot, image, values.numpy(), limit, f"{name}\n" + (f"gap {gap:.0e} logits" if gap else "gap 0"))
    _finish(figure, shown, plots, path)


def study(training_digits: Digits, held_out: Digits, training: TrainingSettings, out: Path) -> dict[str, Any]:
    """Train both networks, check what algebra promises, draw the pictures into `out`; return the figures."""
    gap_cnn, cnn_fc = train_both(training_digits, training)
    limit = map_scale(gap_cnn, held_out.images)
    seven = held_out.images[held_out.labels == 7][0]
    out.mkdir(parents=True, exist_ok=True)
    row_picture(gap_cnn, held_out, limit, out / "digits-row.png")
    equal_picture(gap_cnn, seven, limit, out / "digits-equal.png")
    return {
        "digits": {"trained_on": len(training_digits.labels), "held_out": len(held_out.labels)},
        "epochs": training.epochs,
        "accuracy_gap_cnn": gap_cnn.accuracy(held_out),
        "accuracy_cnn_fc": cnn_fc.accuracy(held_out),
        "largest_gap": equalities(gap_cnn, held_out.images[:500]),
        "map_scale": limit,
        "seven": seven_picture(gap_cnn, seven, limit, out / "digits-seven.png"),
        "deletion": {f"7_against_{other}": deletion_check(gap_cnn, held_out, "7", other) for other in "19"},
    }


def report(figures: dict[str, Any]) -> str:
    """Put the figures of `study` into words."""
    gaps, seven = figures["largest_gap"], figures["seven"]
    lines = [
        f"{figures['digits']['held_out']} held-out digits, {figures['digits']['trained_on']} trained on:",
        f"  GapCnn {figures['accuracy_gap_cnn']:.1%} right, CnnFc {figures['accuracy_cnn_fc']:.1%}",
        "Largest gap, in logits:",
        f"  naive, conv1x1 and softmax head   {gaps['heads']:.1e}",
        f"  mean(map) + bias, and the logit   {gaps['add_up']:.1e}",
        f"  class map, and Grad-CAM × cells   {gaps['grad_cam']:.1e}",
        "One held-out 7, against 1:",
        f"  log(p7/p1) = {seven['map_mean']:+.2f} (map) {seven['bias']:+.2f} (bias) = {seven['log_odds']:+.2f}",
        f"All held-out 7s, {ERASED:.0%} of the ink erased, mean log-odds:",
    ]
    for name, odds in figures["deletion"].items():
        values = f"whole {odds['whole']:+.1f}, highest erased {odds['strongest_erased']:+.1f}"
        lines.append(f"  {name.replace('_', ' ')}: {values}, lowest erased {odds['weakest_erased']:+.1f}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the example from the command line."""
    parser = argparse.ArgumentParser(prog="python docs/tutorial/digits/digits.py", description=__doc__.split("\n")[0])
    parser.add_argument("--mnist", type=Path, metavar="DIR", help="MNIST's four IDX files, packed or not")
    parser.add_argument("--out", type=Path, default=Path("digits"), metavar="DIR", help="folder of the pictures")
    parser.add_argument("--epochs", type=int, metavar="N", help="6 for the bundled digits, 1 for MNIST")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, too")
    options = parser.parse_args(arguments)
    if options.epochs is not None and options.epochs < 1:
        parser.error(f"--epochs {options.epochs}: at least 1")
    try:
        parts = load_mnist(options.mnist) if options.mnist else load_bundled()
    except CamvibError as error:
        raise SystemExit(str(error)) from error
    epochs = options.epochs or (1 if options.mnist else 6)
    figures = study(*parts, TrainingSettings(epochs=epochs), options.out)
    print(report(figures))
    print(f"Pictures: {options.out}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
