"""Files of any format → channels → recordings in SI units.

A reader is a module in the entry-point group ``camvib.readers`` with ``sniff(head, path) -> bool``,
``read(path) -> Iterator[Channel]`` and, if it must be asked before others, an integer ``priority`` (default 50).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from camvib.errors import CamvibError, EmptyFile, MissingMetadata, ReadError, UnitError, UnknownFormat
from camvib.readers.parsing.blocks import not_finite, scaled
from camvib.readers.parsing.channel import DECLARE_UNIT, Channel, resolve_rate
from camvib.readers.parsing.names import comparable, split_name
from camvib.records import Recording, file_sha256
from camvib.units import parse_unit

_HEAD_BYTES = 4096
_NOT_VIBRATION = ("time",)
_UNPACK, _EXPORT, _OTHER = "Unpack it and name the files in it", "Export the table as CSV", "Name the recording itself"
_FOREIGN = {
    b"PK": ("a ZIP archive (or an Excel file)", f"{_UNPACK}, or export the table as CSV"),
    b"\x1f\x8b": ("packed with gzip", _UNPACK), b"BZh": ("packed with bzip2", _UNPACK),
    b"\xfd7zXZ": ("packed with xz", _UNPACK), b"7z\xbc\xaf": ("a 7z archive", _UNPACK),
    b"Rar!": ("a RAR archive", _UNPACK), b"\xd0\xcf\x11\xe0": ("an old Excel file", _EXPORT),
    b"SQLite": ("a database", _EXPORT), b"%PDF": ("a PDF document", _OTHER),
    b"\x89PNG": ("a picture", _OTHER), b"\xff\xd8\xff": ("a picture", _OTHER),
    b"OggS": ("lossy audio", "Export PCM or floating-point WAV"),
    b"ID3": ("lossy audio", "Export PCM or floating-point WAV"),
}  # fmt: skip


def read_channels(path: Path) -> list[Channel]:
    """Read everything that may be a time series, unscaled.

    The reader is chosen by the file's content; the suffix only decides between readers of the same content.

    Raises
    ------
    ReadError
        The file is empty, of no known format, damaged, or holds no time series.
    """
    path = Path(path)
    name, reader, warnings = _reader_for(path, _head(path))
    try:
        channels = list(reader.read(path))
    except CamvibError as error:
        if str(path) in error.message:
            raise
        raise type(error)(f"{path}: {error.message}", error.remedy) from error
    except ImportError as error:
        raise ReadError(
            f"{path}: the {name} reader cannot be loaded: {error}", f"Install it: pip install camvib[{name}]"
        ) from error
    # A third party's parser may raise anything on a damaged file.
    except (Exception, MemoryError) as error:
        raise ReadError(
            f"{path}: damaged, or not {name} as camvib knows it: {type(error).__name__}: {str(error)[:200]}",
            f"Copy the file again, or export it once more; if other software reads it, report it with {name} as format",
        ) from error
    if not channels:
        raise EmptyFile(f"{path}: no time series in this {name} file", "Check what was exported")
    return [_noted(channel, warnings) for channel in channels] if warnings else channels


def read(
    path: Path,
    *,
    channel: str | None = None,
    sampling_rate_hz: float | None = None,
    unit: str | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    asset: str = "",
    recorded_at: datetime | None = None,
) -> Iterator[Recording]:
    """Read a file as recordings in SI units, joining what it says with what is declared.

    Parameters
    ----------
    path : Path
    channel : str, optional
        Name, as ``camvib read`` lists it; ``H[2]`` is the third column of a 2-D array, ``acc_g[3,:,0]`` one series of
        a 3-D array, and ``*`` stands for anything (``acc_g[*,:,0]``). Without it, every vibration channel is read.
    sampling_rate_hz : float, optional
        Needed where the file does not state its rate; must agree with the file where it does.
    unit : str, optional
        Needed where the file does not state it, and preferred to the file's; ``arbitrary`` on purpose.
    start_s, end_s : float, optional
        Stretch to cut out.
    asset : str
    recorded_at : datetime, optional

    Raises
    ------
    ReadError
        See `camvib.errors`: missing metadata, rates that contradict each other, no such channel, no usable samples.
    UnitError
        The unit is not known.
    """
    path = Path(path)
    yield from recordings_of(
        path, read_channels(path), file_sha256(path), channel=channel, sampling_rate_hz=sampling_rate_hz, unit=unit,
        start_s=start_s, end_s=end_s, asset=asset, recorded_at=recorded_at,
    )  # fmt: skip


def recordings_of(
    path: Path,
    channels: Sequence[Channel],
    content_sha256: str,
    *,
    channel: str | None = None,
    sampling_rate_hz: float | None = None,
    unit: str | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    asset: str = "",
    recorded_at: datetime | None = None,
) -> Iterator[Recording]:
    """Do `read` for a file whose channels are at hand (segments of one file need it read only once)."""
    chosen = _named(path, channels, channel) if channel else _vibration(path, channels, unit)
    for one in chosen:
        where = f"{path}, channel {one.name!r}"
        rate_hz, notes = resolve_rate(one, sampling_rate_hz, where)
        scale, history, unit_notes = _unit_of(one, unit, where)
        cut, first, cut_note = _cut(one, rate_hz, start_s, end_s, where)
        notes += _check_samples(cut, where)
        yield Recording(
            scaled(cut, scale.factor), rate_hz, scale.si, one.name, str(path), content_sha256, asset,
            first / rate_hz, recorded_at or one.recorded_at, (*history, *cut_note),
            (*one.warnings, *unit_notes, *notes),
        )  # fmt: skip


def describe(path: Path, *, sampling_rate_hz: float | None = None) -> dict[str, Any]:
    """Say what a file holds: format, rate of its first vibration channel, all channels, duration, warnings.

    Raises
    ------
    ReadError
        The file cannot be read, or states no sampling rate and none is declared.
    """
    path = Path(path)
    channels = read_channels(path)
    rows: list[dict[str, Any]] = []
    warnings: list[str] = []
    errors: list[CamvibError] = []
    for channel in channels:
        try:
            row, notes = _describe_channel(path, channel, sampling_rate_hz)
        except CamvibError as error:
            errors.append(error)
            continue
        rows.append(row)
        warnings += [note for note in notes if note not in warnings]
    if not rows:
        raise errors[0]
    fastest = max(rows, key=lambda row: float(row["sampling_rate_hz"]))
    usual = [row for row in rows if row["unit"] and _is_vibration(row["unit"])]
    main = next((row for row in usual if row["sampling_rate_hz"] >= fastest["sampling_rate_hz"] / 20), fastest)
    return {
        "format": channels[0].format,
        "sampling_rate_hz": main["sampling_rate_hz"],
        "channels": rows,
        "duration_s": main["samples"] / main["sampling_rate_hz"],
        "warnings": [*warnings, *(str(error) for error in errors[:5])],
    }


def _describe_channel(path: Path, channel: Channel, declared_hz: float | None) -> tuple[dict[str, Any], list[str]]:
    where = f"{path}, channel {channel.name!r}"
    notes = _check_samples(channel.samples, where)
    rate_hz, rate_notes = resolve_rate(channel, declared_hz, where)
    if channel.unit is None:
        notes = (*notes, f"channel {channel.name!r} has no unit: declare --unit")
    row = {
        "name": channel.name,
        "unit": channel.unit,
        "samples": len(channel.samples),
        "sampling_rate_hz": rate_hz,
    }
    return row, [*channel.warnings, *rate_notes, *notes]


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD_BYTES)
    except IsADirectoryError as error:
        raise ReadError(f"{path}: is a folder", "Name a file, or give the folder to camvib diagnose") from error
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror}", "Check the path and the permission to read") from error
    if not head:
        raise EmptyFile(f"{path}: 0 bytes", "Copy or export the file again")
    return head


@functools.cache
def _plugins() -> tuple[tuple[str, str], ...]:
    """Names and modules of all readers; a checkout that is not installed still has its own."""
    found = {point.name: point.value for point in entry_points(group="camvib.readers")}
    here = f"{__package__}."
    own = {
        module.name: here + module.name
        for module in pkgutil.iter_modules([str(Path(__file__).parent)])
        if not module.name.startswith("_") and not module.ispkg and here + module.name != __name__
    }
    known = set(found.values())
    return tuple((found | {name: module for name, module in own.items() if module not in known}).items())


def _reader_for(path: Path, head: bytes) -> tuple[str, ModuleType, tuple[str, ...]]:
    matches: list[tuple[int, str, ModuleType]] = []
    warnings: list[str] = []
    for name, module in _plugins():
        try:
            reader = importlib.import_module(module)
            if reader.sniff(head, path):
                matches.append((-int(getattr(reader, "priority", 50)), name, reader))
        # Somebody else's plugin must not take the other readers down with it.
        except Exception as error:  # noqa: BLE001
            warnings.append(f"reader {name!r} is broken and was passed over: {type(error).__name__}: {error}")
    if not matches:
        if foreign := next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None):
            raise UnknownFormat(f"{path}: is {foreign[0]}", foreign[1])
        known = ", ".join(sorted(name for name, _ in _plugins()))
        raise UnknownFormat(
            f"{path}: the content is of no known format ({known}). {'; '.join(warnings)}".strip(),
            "Export it as CSV, WAV, Parquet or UFF 58, or plug a reader in (docs/reference/formats.md)",
        )
    _, name, reader = min(matches, key=lambda match: match[:2])
    return name, reader, tuple(warnings)


def _noted(channel: Channel, warnings: tuple[str, ...]) -> Channel:
    return replace(channel, warnings=(*channel.warnings, *warnings))


def _named(path: Path, channels: Sequence[Channel], wanted: str) -> list[Channel]:
    if "*" in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("*")))
        chosen = [channel for channel in channels if pattern.fullmatch(channel.name)]
    else:
        chosen = [channel for channel in channels if channel.name == wanted]
        chosen = chosen or [c for c in channels if comparable(c.name) == comparable(wanted)]
        chosen = chosen or [c for c in channels if comparable(split_name(c.name)[0]) == comparable(wanted)]
    if not chosen and len(wanted) >= 8:  # some writers cut names: Acceleratio
        cut = [c for c in channels if len(c.name) >= 8 and (wanted.startswith(c.name) or c.name.startswith(wanted))]
        chosen = cut if len(cut) == 1 else []
    if not chosen:
        names = ", ".join(channel.name for channel in channels[:12]) + (", …" if len(channels) > 12 else "")
        raise ReadError(
            f"{path}: no channel {wanted!r}; there are {names}", "Name one of them: column channel, or --channel"
        )
    return chosen if "*" in wanted else chosen[:1]


def _vibration(path: Path, channels: Sequence[Channel], declared: str | None) -> list[Channel]:
    """Leave out what is no vibration: unknown quantities (°C), channels far slower than the fastest, single values."""
    fastest = max((channel.sampling_rate_hz or 0.0 for channel in channels), default=0.0)
    fast = [c for c in channels if not c.sampling_rate_hz or c.sampling_rate_hz >= fastest / 20]
    long = [channel for channel in fast if len(channel.samples) > 1] or fast
    known = [channel for channel in long if channel.unit and _is_vibration(channel.unit)]
    if known or declared is not None:
        return known if known and declared is None else [c for c in long if not c.unit or _is_vibration(c.unit)] or long
    foreign = [channel for channel in long if channel.unit]
    if foreign and len(foreign) == len(long):
        units = ", ".join(f"{channel.name} in {channel.unit}" for channel in foreign[:6])
        raise MissingMetadata(f"{path}: no channel has a unit of vibration ({units})", DECLARE_UNIT)
    return long


def _is_vibration(unit: str) -> bool:
    try:
        return parse_unit(unit).quantity not in _NOT_VIBRATION
    except UnitError:
        return False


def _unit_of(channel: Channel, declared: str | None, where: str) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    word = declared if declared is not None else channel.unit
    if word is None:
        raise MissingMetadata(f"{where}: the file does not state its unit", DECLARE_UNIT)
    try:
        scale = parse_unit(word)
    except UnitError as error:
        raise UnitError(f"{where}: {error.message}", error.remedy) from error
    notes: tuple[str, ...] = ()
    if declared is not None and channel.unit and channel.unit != declared:
        notes = (f"unit {declared!r} is declared; the file says {channel.unit!r}",)
    history = (f"converted {word} to {scale.si}: × {scale.factor:.9g}",) if scale.factor != 1 else ()
    return scale, history, notes


def _cut(
    channel: Channel, rate_hz: float, start_s: float | None, end_s: float | None, where: str
) -> tuple[Any, int, tuple[str, ...]]:
    n = len(channel.samples)
    if start_s is None and end_s is None:
        return channel.samples, 0, ()
    first, last = round((start_s or 0.0) * rate_hz), n if end_s is None else round(end_s * rate_hz)
    if not 0 <= first < last or first >= n or last > n * 1.001 + 1:
        raise ReadError(
            f"{where}: the stretch {start_s or 0:g} to {last / rate_hz:g} s is not within its {n / rate_hz:g} s",
            "Correct start_s and end_s in labels.csv",
        )
    return channel.samples[first:last], first, (f"cut {first / rate_hz:g} to {min(last, n) / rate_hz:g} s",)


def _check_samples(samples: Any, where: str) -> tuple[str, ...]:
    """Refuse what cannot be a recording; returns a note on isolated NaN, which `camvib.recordings.quality` judges."""
    if samples.dtype.kind not in "fiu":
        raise ReadError(f"{where}: holds {samples.dtype}, not numbers", "Export the samples as numbers")
    if len(samples) == 0:
        raise EmptyFile(f"{where}: no samples", "Check how the file was exported")
    if len(samples) == 1:
        raise ReadError(f"{where}: 1 sample is no time series (at least 2)", "Check how the file was exported")
    missing = not_finite(samples)
    if missing == len(samples):
        raise ReadError(f"{where}: all {missing} samples are NaN", "Export it again; NaN stands for no measurement")
    return (f"{missing} of {len(samples)} samples are not numbers",) if missing else ()
