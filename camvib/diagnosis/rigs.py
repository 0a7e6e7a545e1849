"""Rig files: geometry → the frequencies that regions are named with."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from camvib.diagnosis.bearings import fault_lines
from camvib.errors import SettingsError
from camvib.recordings.catalog import Bearing
from camvib.simulation.beam import Cantilever

ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")


class KnownLine(NamedTuple):
    """A frequency that means something at a machine: a mode, a harmonic of shaft or drive, a part of a bearing."""

    name: str
    hz: float


class Rig(NamedTuple):
    """Names and frequencies (Hz) of what a rig does when healthy; `tolerance` is relative.

    `lines` are those that a report marks in a spectrum beside the modes; regions are not named after them.
    """

    name: str
    modes: tuple[tuple[str, float], ...]
    tolerance: float = 0.08
    lines: tuple[KnownLine, ...] = ()


def load_rig(name_or_path: str | Path, highest_hz: float = float("inf")) -> Rig:
    """Read a rig file, by path or by the name of one that camvib brings (``cantilever``).

    A file has ``[rig]`` (name, kind) and either ``[beam]``, from which the bending modes follow, or
    ``[modes]``, a table of names and frequencies in Hz. ``[shaft]``, ``[drive]`` and ``[bearing]`` add known lines.

    Raises
    ------
    SettingsError
        There is no such file, or a key is missing.
    """
    text = _read(name_or_path)
    try:
        table = tomllib.loads(text)
        rig = table["rig"]
        modes = table["modes"].items() if "modes" in table else _bending_modes(table["beam"])
        named = tuple((str(name), float(hz)) for name, hz in modes if float(hz) <= highest_hz)
        lines = tuple(line for line in _lines(table) if line.hz <= highest_hz)
        return Rig(str(rig["name"]), named, float(rig.get("tolerance", 0.08)), lines)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{name_or_path}: not a rig file ({error!r})", "See docs/reference/rigs.md for the two forms"
        ) from error


def _read(name_or_path: str | Path) -> str:
    path = Path(name_or_path)
    if path.is_file():
        return path.read_text()
    shipped = files("camvib.data") / "rigs" / f"{name_or_path}.toml"
    if shipped.is_file():
        return shipped.read_text()
    raise SettingsError(f"{name_or_path}: no such rig file", "Give a path to a .toml, or 'cantilever'")


def _bending_modes(beam: dict[str, Any]) -> list[tuple[str, float]]:
    frequencies = Cantilever(**beam).natural_frequencies_hz(len(ORDINALS))
    return [(f"{ordinal} bending mode", float(hz)) for ordinal, hz in zip(ORDINALS, frequencies, strict=True)]


def _lines(table: dict[str, Any]) -> list[KnownLine]:
    """Harmonics of shaft and drive, and the strike frequencies of a bearing's parts."""
    found = []
    for part, key in (("shaft", "speed_hz"), ("drive", "frequency_hz")):
        if part in table:
            hz, count = float(table[part][key]), int(table[part].get("harmonics", 3))
            found += [KnownLine(f"{part} {k}×", k * hz) for k in range(1, count + 1)]
    if "bearing" in table:
        given = {**table["bearing"], "shaft_hz_column": ""}
        harmonics = int(given.pop("harmonics", 3))
        bearing = Bearing.model_validate(given)
        strikes = fault_lines(bearing, float(table["shaft"]["speed_hz"]), harmonics)
        found += [KnownLine(name, hz) for name, hz in strikes if "shaft" not in name]
    return found
