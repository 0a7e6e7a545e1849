"""Channels of a file → recordings in SI units, joined with what is declared; and what a file says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from camvib.errors import CamvibError, EmptyFile, MissingMetadata, ReadError, UnitError, printable
from camvib.readers.opening import open_file
from camvib.readers.parsing.blocks import not_finite, scaled
from camvib.readers.parsing.channel import DECLARE_UNIT, Channel, LeftOut, resolve_rate
from camvib.readers.parsing.names import comparable, split_name
from camvib.records import Recording, file_sha256
from camvib.units import ARBITRARY, parse_unit

_NOT_VIBRATION = ("time",)


def read_channels(path: Path) -> list[Channel]:
    """Read everything that may be a time series, unscaled.

    The reader is chosen by the file's content; the suffix only decides between readers of the same content.

    Raises
    ------
    ReadError
        The file is empty, of no known format, damaged, or holds no time series.
    """
    return open_file(path).channels


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
        Needed where the file does not state its rate; wins over what the file states, with a warning that names both.
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
    """Do `read` for a file whose channels are at hand (segments of one file need it read only once).

    Where no channel is named, those that cannot be used are left out, and the others say so; if none can, the first
    one's error is raised.
    """
    chosen = _named(path, channels, channel) if channel else _vibration(path, channels, unit)
    settled: list[tuple[Channel, float, tuple[str, ...], Any, tuple[str, ...]]] = []
    errors: list[CamvibError] = []
    for one in chosen:
        try:
            settled.append(_settle(path, one, sampling_rate_hz, unit))
        except CamvibError as error:
            errors.append(error)
    if errors and (channel or not settled):
        raise errors[0]
    left_out = tuple(f"left out: {error.message.removeprefix(f'{printable(str(path))}, ')}" for error in errors)
    for one, rate_hz, notes, scale, history in settled:
        cut, first, cut_note = _cut(one, rate_hz, start_s, end_s, _where(path, one))
        yield Recording(
            scaled(cut, scale.factor), rate_hz, scale.si, one.name, printable(str(path)), content_sha256, asset,
            first / rate_hz, recorded_at or one.recorded_at, (*one.history, *history, *cut_note),
            (*one.warnings, *notes, *left_out),
        )  # fmt: skip


def _settle(
    path: Path, one: Channel, declared_hz: float | None, unit: str | None
) -> tuple[Channel, float, tuple[str, ...], Any, tuple[str, ...]]:
    """Settle rate and unit of a channel; returns it with rate, notes, scale and history."""
    where = _where(path, one)
    _check_problem(one, unit, where)
    rate_hz, notes = resolve_rate(one, declared_hz, where)
    scale, history, unit_notes = _unit_of(one, unit, where)
    return one, rate_hz, (*unit_notes, *notes, *_check_samples(one.samples, where)), scale, history


def _check_problem(one: Channel, unit: str | None, where: str) -> None:
    if one.problem and unit != ARBITRARY:
        raise ReadError(
            f"{where}: {one.problem}",
            "Save the samples in their unit; or declare --unit arbitrary, if levels mean nothing",
        )


def _where(path: Path, one: Channel) -> str:
    return f"{path}, channel {one.name!r}"


def describe(path: Path, *, sampling_rate_hz: float | None = None) -> dict[str, Any]:
    """Say what a file holds.

    Returns
    -------
    dict
        format, sampling_rate_hz (of its first vibration channel), channels, duration_s, warnings, left_out (name and
        reason of what is no channel, or cannot be used), stated (what, value and where of each statement).

    Raises
    ------
    ReadError
        The file cannot be read, or states no sampling rate and none is declared.
    """
    path = Path(path)
    channels, left_out = open_file(path)
    rows: list[dict[str, Any]] = []
    warnings: list[str] = []
    errors: list[CamvibError] = []
    for channel in channels:
        try:
            row, notes = _describe_channel(path, channel, sampling_rate_hz)
        except CamvibError as error:
            errors.append(error)
            left_out.append(LeftOut(channel.name, error.message.removeprefix(f"{printable(_where(path, channel))}: ")))
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
        "left_out": [
            {"name": one.name, "reason": one.reason} for one in [*left_out, *_not_taken(path, channels, rows)]
        ],
        "stated": _stated(channels),
    }


def _not_taken(path: Path, channels: Sequence[Channel], rows: Sequence[dict[str, Any]]) -> list[LeftOut]:
    """Name the channels that are listed, and that `read` does not take of itself."""
    listed = [channel for channel in channels if any(row["name"] == channel.name for row in rows)]
    try:
        taken = {channel.name for channel in _vibration(path, listed, None)}
    except MissingMetadata:
        taken = set()
    return [LeftOut(one.name, _why_not(one, listed)) for one in listed if one.name not in taken]


def _why_not(one: Channel, channels: Sequence[Channel]) -> str:
    if one.unit and not _is_vibration(one.unit):
        return f"{one.unit} is no unit of vibration"
    if not one.unit and any(other.unit for other in channels):
        return "no unit is stated, while other channels have one: name it with --channel, and its unit with --unit"
    return "far slower than the fastest channel: name it with --channel"


def _stated(channels: Sequence[Channel]) -> list[dict[str, Any]]:
    """List what the file states and where, each statement once."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in channels:
        rows: list[tuple[str, Any, str]] = [
            ("sampling_rate_hz", rate.hz if not rate.others else [rate.hz, *rate.others], rate.source)
            for rate in one.rates
        ]
        rows += [("unit", one.unit, f"channel {one.name!r}")] if one.unit else []
        rows += [("scale", step, f"channel {one.name!r}") for step in one.history]
        rows += [("recorded_at", one.recorded_at.isoformat(), "the file")] if one.recorded_at else []
        for what, value, where in rows:
            found.setdefault((what, where), {"what": what, "value": value, "where": where})
    return list(found.values())


def _describe_channel(path: Path, channel: Channel, declared_hz: float | None) -> tuple[dict[str, Any], list[str]]:
    where = _where(path, channel)
    notes = _check_samples(channel.samples, where)
    _check_problem(channel, None, where)
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
