"""Long recordings in bounded memory: blocks in, one memory-mapped array out."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# Converting and scaling need some four times as much at once: 16-bit samples become 32-bit ones twice.
SPOOL_ABOVE_BYTES = 64_000_000
SMALL_BYTES = 1_000_000  # an array on disk holds a file open: not worth it for a clock or a table of limits
BLOCK = 1 << 20  # samples


def is_long(total_bytes: int) -> bool:
    """Tell whether so many bytes, all channels of a file together, are better left on disk."""
    return total_bytes > SPOOL_ABOVE_BYTES


def from_file(
    path: Path, dtype: Any, offset: int, shape: tuple[int, ...], order: Literal["C", "F"], total_bytes: int
) -> NDArray[Any]:
    """Take an array as it lies in a file: memory-mapped if the file, of `total_bytes`, is long; else a copy."""
    values = np.memmap(path, dtype, "r", offset, shape, order)
    return values if is_long(total_bytes) else np.array(values, order=order)


def as_float(block: NDArray[Any]) -> NDArray[np.floating]:
    """Make samples floating, in the smallest type that holds them exactly, and in native byte order."""
    if block.dtype.kind == "f" and block.dtype.itemsize in (4, 8) and block.dtype.isnative:
        return block
    small = block.dtype.itemsize <= 2 or (block.dtype.kind == "f" and block.dtype.itemsize <= 4)
    return block.astype(np.float32 if small else np.float64)


class Spool:
    """Gather blocks of samples; beyond 64 MB they go to an unnamed file in the temporary folder (``TMPDIR``).

    Parameters
    ----------
    expected_bytes : int
        Size of everything that is read from the file at the same time, all channels together.
    """

    def __init__(self, expected_bytes: int) -> None:
        self._file = tempfile.TemporaryFile() if is_long(expected_bytes) else None  # noqa: SIM115 - close() does
        self._blocks: list[NDArray[np.floating]] = []
        self._length = 0

    def append(self, block: NDArray[Any]) -> None:
        """Add samples, shape (k,)."""
        block = as_float(np.asarray(block))
        if self._file is None or not self._length:
            self._blocks.append(block if self._file is None else block[:0])
        if self._file is not None:
            self._file.write(np.ascontiguousarray(block, self._blocks[0].dtype).data)
        self._length += len(block)

    def close(self) -> NDArray[np.floating]:
        """Return all samples, shape (n,)."""
        if self._file is None or not self._length:
            return np.concatenate(self._blocks) if self._blocks else np.empty(0)
        self._file.flush()
        samples = np.memmap(self._file, self._blocks[0].dtype, "r", shape=(self._length,))
        self._file.close()  # the mapping keeps the unnamed file alive
        return samples


def blocks(samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Walk through samples; pages of a memory map are given back once they were used."""
    mapping = _mapping(samples)
    for first in range(0, len(samples), BLOCK):
        yield np.asarray(samples[first : first + BLOCK])
        if mapping is not None and hasattr(mapping, "madvise"):
            mapping.madvise(mmap.MADV_DONTNEED)


def scaled(samples: NDArray[Any], factor: float) -> NDArray[np.floating]:
    """Multiply, block by block if the samples are memory-mapped."""
    mapped = _mapping(samples) is not None
    if not mapped:
        samples = as_float(samples)
        return samples if factor == 1.0 else samples * samples.dtype.type(factor)
    if factor == 1.0 and samples.dtype.kind == "f" and samples.dtype.isnative:
        return samples
    spool = Spool(SPOOL_ABOVE_BYTES + 1)  # one of many channels, perhaps: what was mapped stays on disk
    for block in blocks(samples):
        block = as_float(block)
        spool.append(block * block.dtype.type(factor))
    return spool.close()


def not_finite(samples: NDArray[Any]) -> int:
    """Count NaN and infinite samples."""
    if samples.dtype.kind != "f":
        return 0
    return sum(int(np.count_nonzero(~np.isfinite(block))) for block in blocks(samples))


def _mapping(array: Any) -> mmap.mmap | None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array
