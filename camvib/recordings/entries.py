"""One row of labels.csv, or one file without: what is declared of it, and its recordings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from camvib.errors import CamvibError, LabelsError
from camvib.readers import Channel, read_channels, recordings_of, split_name
from camvib.recordings.shaft_speed import shaft_speeds_hz
from camvib.records import Recording, file_sha256


@dataclass(frozen=True)
class Entry:
    """One recording of a set: where it lies, what it is, and what is declared about it.

    Attributes
    ----------
    file : Path
    label, group : str
        Empty where a folder without labels is diagnosed.
    channel, sampling_rate_hz, unit, asset, start_s, end_s, recorded_at
        As declared in labels.csv; see `camvib.readers.read`.
    attributes : dict of str to str
        All other columns: operating conditions and descriptions.
    """

    file: Path
    label: str = ""
    group: str = ""
    channel: str | None = None
    sampling_rate_hz: float | None = None
    unit: str | None = None
    asset: str = ""
    start_s: float | None = None
    end_s: float | None = None
    recorded_at: datetime | None = None
    attributes: dict[str, str] = field(default_factory=dict)

    def recordings(self) -> Iterator[Recording]:
        """Read it: one recording a channel, if none is named."""
        yield from self._from(*_open(self.file))

    def load(self) -> Recording:
        """Read its only recording.

        Raises
        ------
        ReadError, UnitError
            See `camvib.readers.read`.
        LabelsError
            No channel is named, and there are several.
        """
        first, *others = self.recordings()
        if others:
            names = ", ".join(recording.channel for recording in (first, *others)[:12])
            raise LabelsError(f"{self.file}: {len(others) + 1} channels: {names}", CHOOSE)
        return first

    def _from(self, channels: Sequence[Channel], content_sha256: str) -> Iterator[Recording]:
        channel, unit = _positional(self, channels)
        found = recordings_of(
            self.file, channels, content_sha256, channel=channel, sampling_rate_hz=self.sampling_rate_hz,
            unit=unit, start_s=self.start_s, end_s=self.end_s, asset=self.asset, recorded_at=self.recorded_at,
        )  # fmt: skip
        speed = shaft_speeds_hz([self.attributes])
        for one in found:
            name = one.channel if channel == self.channel else self.channel or one.channel
            yield replace(one, channel=name, shaft_hz=None if speed is None else float(speed[0]))


def listed_channels(attributes: dict[str, str]) -> list[str]:
    """Names in the descriptive column ``channels``."""
    return [name.strip() for name in re.split(r"[;,]", attributes.get("channels", "")) if name.strip()]


def _positional(entry: Entry, channels: Sequence[Channel]) -> tuple[str | None, str | None]:
    """Find channel and unit: in a table without header, column ``channels`` of labels.csv names the columns."""
    names = listed_channels(entry.attributes)
    if entry.channel not in names or not all(channel.name.startswith("column_") for channel in channels):
        return entry.channel, entry.unit
    return f"column_{names.index(entry.channel) + 1}", entry.unit or split_name(entry.channel)[1]


CHOOSE = "Choose one: --channel NAME, or a column channel in labels.csv"


def _open(file: Path) -> tuple[list[Channel], str]:
    channels = read_channels(file)
    return channels, file_sha256(file)


def recordings(entries: Iterable[Entry]) -> Iterator[tuple[Entry, Recording | CamvibError]]:
    """Read entries one after the other; an unreadable one gives its error, and the rest goes on.

    Neighbouring entries of the same file read it once.
    """
    opened: Path | None = None
    content: tuple[list[Channel], str] | CamvibError = ([], "")
    for entry in entries:
        if entry.file != opened:
            opened = entry.file
            try:
                content = _open(entry.file)
            except CamvibError as error:
                content = error
        if isinstance(content, CamvibError):
            yield entry, content
            continue
        try:
            for recording in entry._from(*content):
                yield entry, recording
        except CamvibError as error:
            yield entry, error


def of_channel(found: list[Recording | CamvibError], channel: str | None) -> list[Recording | CamvibError]:
    """Of a file's channels take the one that the model was trained on, if it has it; else all."""
    same = [r for r in found if isinstance(r, Recording) and r.channel == channel]
    return [*same] or found
