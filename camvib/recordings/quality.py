"""Is this signal fit to be judged? Each finding says where, how much and what to do.

The checks need one recording only. What cannot be decided from one recording alone (a detached sensor
looks like a quiet machine) is decided against an `InputSpec`: what the model, or this asset, has seen before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal.windows import hann

from camvib.errors import SignalError
from camvib.recordings.resampling import resample
from camvib.recordings.signal_checks import QualitySettings, Signal, check_signal
from camvib.records import Finding, Recording
from camvib.units import ARBITRARY

__all__ = ["InputSpec", "QualitySettings", "check", "resample"]

_DEFAULT = QualitySettings()


@dataclass(frozen=True)
class InputSpec:
    """What the model, or this asset, has seen before.

    Attributes
    ----------
    sampling_rate_hz : float
    unit : str
    window_s : float
        A recording shorter than this gives no window.
    channel : str or None
    level_db : (float, float) or None
        Lowest and highest level seen, as `level_db` gives it, re 1 `unit`.
    high_share_db : (float, float) or None
        Lowest and highest share of power above an eighth of the sampling rate, as `high_share_db` gives it.
    """

    sampling_rate_hz: float
    unit: str
    window_s: float
    channel: str | None = None
    level_db: tuple[float, float] | None = None
    high_share_db: tuple[float, float] | None = None

    @classmethod
    def learn(cls, recordings: Iterable[Recording], window_s: float) -> InputSpec:
        """Take rate, unit and channel of the first recording, and the ranges of level and share of all."""
        found = list(recordings)
        if not found:
            raise SignalError("no recording to learn the input from", "Give at least one")
        values = np.array([(level_db(r.samples), high_share_db(r.samples)) for r in found])
        (low, high_low), (high, high_high) = values.min(axis=0).tolist(), values.max(axis=0).tolist()
        first = found[0]
        channel = first.channel if all(r.channel == first.channel for r in found) else None
        return cls(first.sampling_rate_hz, first.unit, window_s, channel, (low, high), (high_low, high_high))


def check(
    recording: Recording, expected: InputSpec | None = None, settings: QualitySettings = _DEFAULT
) -> tuple[Finding, ...]:
    """Look for what makes a verdict on this recording worthless.

    Parameters
    ----------
    recording : Recording
        Any length; above ``settings.block_samples`` it is checked block by block in bounded memory.
    expected : InputSpec, optional
        What the model, or this asset, has seen before.
    settings : QualitySettings

    Returns
    -------
    tuple of Finding
        Empty when nothing was noticed. A finding with ``refuse=True`` forbids a verdict.
    """
    found = _against_spec(recording, expected, settings) if expected else []
    n = len(recording.samples)
    if n < settings.min_samples:
        message = f"{n} samples, {settings.min_samples} are needed"
        found.append(Finding("too_short", True, message, "Record longer", value=n, limit=settings.min_samples))
        return tuple(found)
    per_block = []
    blocks = -(-n // settings.block_samples)
    for first, last in pairwise(n * k // blocks for k in range(blocks + 1)):
        x = np.asarray(recording.samples[first:last], np.float64)
        offset = recording.start_s + first / recording.sampling_rate_hz
        signal = Signal(x, recording.sampling_rate_hz, recording.unit, offset)
        block = check_signal(signal, settings)
        if expected and not any(f.kind in ("gap", "flat_line") for f in block):
            block += _other_state(signal, expected, settings)
        per_block.append(block)
    return (*found, *_merge(per_block))


def level_db(samples: NDArray[np.floating]) -> float:
    """Usual level, 20 log10 of the RMS without mean: the median over some 64 stretches, so that knocks do not count."""
    return 20 * math.log10(max(float(np.median(np.std(_stretches(samples), axis=1))), 1e-20))


def high_share_db(samples: NDArray[np.floating]) -> float:
    """Share of power above an eighth of the sampling rate, 10 log10, in the median spectrum of the same stretches."""
    stretches = _stretches(samples)
    centred = stretches - stretches.mean(axis=1, keepdims=True)
    power = np.median(np.abs(np.fft.rfft(centred * hann(stretches.shape[1], sym=False))) ** 2, axis=0)
    return 10 * math.log10(max(float(power[len(power) // 4 :].sum()), 1e-30) / max(float(power.sum()), 1e-30))


def _stretches(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    length = max(32, len(samples) // 64)
    return np.asarray(samples[: len(samples) // length * length], np.float64).reshape(-1, length)


def _against_spec(recording: Recording, spec: InputSpec, s: QualitySettings) -> list[Finding]:
    found = []
    rate, trained = recording.sampling_rate_hz, spec.sampling_rate_hz
    if abs(rate / trained - 1) > s.rate_tolerance:
        message = f"sampling rate {rate:g} Hz, trained at {trained:g} Hz"
        remedy = f"Use --resample {trained:g}, or declare the true rate if the header is wrong"
        found.append(Finding("other_rate", True, message, remedy, value=rate, limit=trained))
    if recording.unit != spec.unit:
        # Without a physical unit on one side nobody can tell that the two differ.
        refuse = ARBITRARY not in (recording.unit, spec.unit)
        message = f"unit {recording.unit}, trained on {spec.unit}"
        remedy = f"Declare the unit, or give a recording in {spec.unit}"
        found.append(Finding("other_unit", refuse, message, remedy))
    if spec.channel is not None and recording.channel != spec.channel:
        # Plants name one place in many ways: said, not refused.
        message = f"channel {recording.channel!r}, trained on {spec.channel!r}"
        found.append(Finding("other_channel", False, message, "Choose the channel with --channel"))
    length = recording.duration_s
    # Half a sample of grace: a duration written in text is rounded.
    if length < spec.window_s - 0.5 / rate:
        message = f"{length:g} s is shorter than the model's window of {spec.window_s:g} s"
        found.append(Finding("too_short", True, message, "Record longer", value=length, limit=spec.window_s))
    return found


def _other_state(signal: Signal, spec: InputSpec, s: QualitySettings) -> list[Finding]:
    """Compare level and share of high frequencies with what was seen: a loose sensor loses both."""
    found = []
    remedy = "Check that the machine runs and the sensor is tight; retrain if this state is normal"
    measures = [("high_share", spec.high_share_db, high_share_db(signal.x), s.high_share_margin_db, "high frequencies")]
    if signal.unit == spec.unit != ARBITRARY:
        measures.append(("level", spec.level_db, level_db(signal.x), s.level_margin_db, "level"))
    for kind, seen, value, margin, words in measures:
        if seen is None:
            continue
        low, high = seen[0] - margin, seen[1] + margin
        if value < low:
            message = f"{words}: {value:.1f} dB, {seen[0] - value:.1f} dB below anything seen (detached sensor?)"
            found.append(Finding(f"low_{kind}", True, message, remedy, *signal.span, value, low))
        elif kind == "level" and value > high:
            # Louder than ever is what a failing machine does: said, not refused.
            message = f"{words}: {value:.1f} dB, {value - seen[1]:.1f} dB above anything seen"
            found.append(Finding("high_level", False, message, remedy, *signal.span, value, high))
    return found


def _merge(per_block: list[list[Finding]]) -> list[Finding]:
    """Make one finding of each kind: the worst block's words, from the first place to the last."""
    merged: dict[str, Finding] = {}
    for finding in (f for block in per_block for f in block):
        seen = merged.get(finding.kind)
        if seen is None:
            merged[finding.kind] = finding
            continue
        worst = finding if (finding.refuse, finding.value) > (seen.refuse, seen.value) else seen
        merged[finding.kind] = replace(worst, start_s=seen.start_s, end_s=finding.end_s)
    return list(merged.values())
