"""Handwritten digits as images: scikit-learn's bundled ones, or MNIST from its IDX files."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn

from camvib.errors import EmptyFile, ReadError, Truncated, UnknownFormat

SIZE = 56  # pixels a side, so that GapCnn's maps have 14 × 14 cells, one for two by two pixels of MNIST
UNSIGNED_BYTE = 8


class Digits(NamedTuple):
    """Handwritten digits.

    Attributes
    ----------
    images : Tensor, shape (n, 56, 56)
        Ink, 0 (paper) to 1.
    labels : Tensor, shape (n,)
        0 to 9.
    """

    images: Tensor
    labels: Tensor


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, the format of MNIST; .gz is unpacked on the way.

    Parameters
    ----------
    path : Path
    dimensions : int
        3 for images, 1 for labels.

    Raises
    ------
    EmptyFile, UnknownFormat, Truncated, ReadError
        No bytes; not IDX, or other than `dimensions`; fewer or more bytes than its header promises.
    """
    again = "Fetch the file again; MNIST's own are idx3-ubyte (images) and idx1-ubyte (labels)"
    header_size = 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.read(header_size)
            _check_header(path, header, dimensions, again)
            shape = struct.unpack(f">{dimensions}I", header[4:])
            # One byte too many is asked for, so that a longer file shows itself.
            values = stream.read(math.prod(shape) + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ReadError(f"{path}: damaged gzip file: {error}", again) from error
    except (OSError, OverflowError, MemoryError) as error:
        raise ReadError(f"{path}: cannot be read: {error}", again) from error
    if not values:
        raise EmptyFile(f"{path}: holds no values, shape {shape}", again)
    if len(values) < math.prod(shape):
        raise Truncated(f"{path}: {len(values)} of the {math.prod(shape)} bytes that shape {shape} promises", again)
    if len(values) > math.prod(shape):
        raise ReadError(f"{path}: longer than the {math.prod(shape)} bytes that shape {shape} promises", again)
    return np.frombuffer(values, np.uint8).reshape(shape)


def _check_header(path: Path, header: bytes, dimensions: int, remedy: str) -> None:
    if not header:
        raise EmptyFile(f"{path}: no bytes", remedy)
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if header[:4] != expected:
        raise UnknownFormat(f"{path}: starts with {header[:4].hex(' ')}, not {expected.hex(' ')}", remedy)
    if len(header) < 4 + 4 * dimensions:
        raise Truncated(f"{path}: ends inside its header, after {len(header)} bytes", remedy)


def load_mnist(folder: Path) -> tuple[Digits, Digits]:
    """Read MNIST's four files from `folder`: training digits and its own held-out ones.

    Raises
    ------
    ReadError
        A file is missing or damaged, or images and labels do not fit together.
    """
    return _mnist_part(folder, "train"), _mnist_part(folder, "t10k")


def _mnist_part(folder: Path, part: str) -> Digits:
    images_path, labels_path = (_find(folder, part, kind) for kind in ("images-idx3", "labels-idx1"))
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise ReadError(
            f"{images_path.name} has {len(images)} images, {labels_path.name} {len(labels)} labels",
            "Take both files from the same data set",
        )
    if set(labels.tolist()) != set(range(10)):
        raise ReadError(f"{labels_path}: labels {sorted(set(labels.tolist()))}", "Use a data set of the digits 0 to 9")
    return Digits(_enlarge(images, 255), torch.from_numpy(labels.astype(np.int64)))


def _find(folder: Path, part: str, kind: str) -> Path:
    # Unpackers differ in how they write the middle dot.
    names = [f"{part}-{stem}-ubyte{end}" for stem in (kind, kind.replace("-", ".")) for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ReadError(f"{folder}: none of {', '.join(names)} is here", "Name the folder that holds MNIST's four files")


def load_bundled() -> tuple[Digits, Digits]:
    """Take scikit-learn's digits in file order: the first three quarters to train on, the last held out.

    The file does not name the writers, but its neighbours look like one hand; shuffled, such neighbours
    would be on both sides of the split and flatter the accuracy.
    """
    bundled = load_digits()
    # The strokes of these 8×8 images reach the border; MNIST's have a margin.
    ink = np.pad(bundled.images, ((0, 0), (1, 1), (1, 1)))
    images, labels = _enlarge(ink, 16), torch.from_numpy(bundled.target.astype(np.int64))
    cut = len(labels) * 3 // 4
    return Digits(images[:cut], labels[:cut]), Digits(images[cut:], labels[cut:])


def _enlarge(images: NDArray[Any], full: float) -> Tensor:
    ink = torch.from_numpy(images.astype(np.float32) / full)[:, None]
    return nn.functional.interpolate(ink, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]
