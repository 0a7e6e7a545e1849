"""Long recordings in bounded memory: blocks in, one memory-mapped array out."""

from __future__ import annotations

import math
import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from camvib.errors import ReadError

# Converting and scaling need some four times as much at once: 16-bit samples become 32-bit ones twice.
SPOOL_ABOVE_BYTES = 64_000_000
SMALL_BYTES = 1_000_000  # an array on disk holds a file open: not worth it for a clock or a table of limits
BLOCK = 1 << 20  # samples


_left = math.inf  # bytes that may still be spooled
_folder: Path | None = None  # where samples are spooled to files with names; None: unnamed files


def spool_folder() -> Path | None:
    """Folder for temporary files; None for the system's."""
    return _folder


def spool_into(folder: Path | None, most_bytes: float = math.inf) -> None:
    """Spool to files with names in a folder from now on, `most_bytes` in all; None: to unnamed files again."""
    global _folder, _left
    _folder, _left = folder, most_bytes


def take_space(n: int) -> None:
    """Count bytes that are written to the temporary folder.

    Raises
    ------
    ReadError
        There would be more than `spool_into` allows.
    """
    global _left
    _left -= n
    if _left < 0:
        raise ReadError("takes more temporary space than a recording of its size needs", "Export the recording itself")


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


def temporary_file() -> Any:
    """Open a file in the temporary folder, with a name only where `spool_into` asks for one."""
    if _folder is None:
        return tempfile.TemporaryFile()
    return tempfile.NamedTemporaryFile(dir=_folder, delete=False)


class Spool:
    """Gather blocks of samples; beyond 64 MB they go to an unnamed file in the temporary folder (``TMPDIR``).

    Parameters
    ----------
    expected_bytes : int
        Size of everything that is read from the file at the same time, all channels together.
    """

    def __init__(self, expected_bytes: int) -> None:
        self._file = temporary_file() if is_long(expected_bytes) else None
        self._blocks: list[NDArray[np.floating]] = []
        self._length = 0
        self._held = 0

    def append(self, block: NDArray[Any]) -> None:
        """Add samples, shape (k,)."""
        block = as_float(np.asarray(block))
        if self._file is None:
            self._blocks.append(block)
            self._held += block.nbytes
            if self._held > 4 * SPOOL_ABOVE_BYTES:  # more came than was expected
                self._file, held = temporary_file(), self._blocks
                self._blocks, self._length = [], 0
                for one in held:
                    self.append(one)
                return
        else:
            if not self._length:
                self._blocks.append(block[:0])
            data = np.ascontiguousarray(block, self._blocks[0].dtype).data
            take_space(data.nbytes)
            self._file.write(data)
        self._length += len(block)

    def close(self) -> NDArray[np.floating]:
        """Return all samples, shape (n,)."""
        if self._file is None or not self._length:
            return np.concatenate(self._blocks) if self._blocks else np.empty(0)
        self._file.flush()
        where = self._file if _folder is None else self._file.name
        samples = np.memmap(where, self._blocks[0].dtype, "r", shape=(self._length,))
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


def calibrated(
    samples: NDArray[Any], factor: float, offset: float, missing: float | None = None
) -> NDArray[np.floating]:
    """Multiply and add, block by block if there are many samples; what equals `missing` becomes NaN."""
    spool = Spool(8 * len(samples))
    for first in range(0, max(len(samples), 1), BLOCK):
        block = np.asarray(samples[first : first + BLOCK])
        values = block.astype(np.float64) * factor + offset
        spool.append(values if missing is None else np.where(block == missing, np.nan, values))
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
