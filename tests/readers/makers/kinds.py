"""What a kind of file must give: the signals that are written, and the forms of an answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

FS = 1000.0
T = np.arange(2000) / FS
_RNG = np.random.default_rng(1)
X, Y, Z = (
    amplitude * np.sin(2 * np.pi * hz * T) + 0.01 * _RNG.normal(size=T.size)
    for amplitude, hz in ((2.0, 50), (1.0, 80), (0.5, 20))
)
AMPLITUDES = {50: 2.0, 80: 1.0, 20: 0.5}


@dataclass(frozen=True)
class Answer:
    """What must come out: a rate and channels with unit and strongest line, or an error and what it must say."""

    hz: float = 0.0
    channels: Mapping[str, tuple[str | None, float]] = field(default_factory=dict)
    error: str = ""
    says: str = ""
    left_out: Sequence[str] = ()
    scale: float | None = None
    nan: bool = False
    only: bool = True


def reads(hz: float, channels: Mapping[str, tuple[str | None, float]], **more: Any) -> Answer:
    """The file is read; `scale` is the amplitude over that of the signal, where it is known."""
    return Answer(hz, channels, **more)


def asks(says: str) -> Answer:
    """The rate is asked for."""
    return Answer(error="MissingMetadata", says=says)


def refuses(error: str, says: str) -> Answer:
    """The file is refused, and says why."""
    return Answer(error=error, says=says)


@dataclass(frozen=True)
class Kind:
    """A kind of file: its content or what writes it, and the answer."""

    name: str
    content: str | bytes | Sequence[str] | Callable[[Path], None]
    answer: Answer
    suffix: str = ".csv"
    encoding: str = "utf-8"
    keep: np.ndarray | None = None

    def write(self, folder: Path) -> Path:
        """Write the file."""
        path = folder / f"file{self.suffix}"
        if callable(self.content):
            self.content(path)
        elif isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            lines = self.content
            if self.keep is not None:
                lines = [lines[0], *(line for line, kept in zip(lines[1:], self.keep, strict=True) if kept)]
            path.write_bytes("".join(lines).encode(self.encoding))
        return path
