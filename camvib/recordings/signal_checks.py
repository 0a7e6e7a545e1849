"""The checks that need one recording only: each looks for one way in which a sensor or a recorder fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.signal.windows import hann

from camvib.records import Finding
from camvib.settings import _Settings

Array = NDArray[np.float64]

# Largest peak and smallest RMS that a sensor can truthfully deliver, by SI unit.
# Acceleration: shock accelerometers end at 1e5 m/s2 (10,000 g); the quietest seismic ones resolve 1e-6 m/s2.
# Velocity: laser vibrometers end near 30 m/s and resolve 1e-9 m/s. Displacement: 10 m; interferometers, 1e-12 m.
# Voltage: no signal conditioner delivers 1 kV; 24 bits over 1 V end at 1e-7 V. Strain: 10 % breaks every gauge.
_PLAUSIBLE = {
    "m/s2": (1e5, 1e-6),
    "m/s": (30.0, 1e-9),
    "m": (10.0, 1e-12),
    "V": (1e3, 1e-7),
    "strain": (0.1, 1e-10),
}


class QualitySettings(_Settings):
    """Limits of the signal checks; the reason stands beside each.

    Tuned on simulated recordings of one seed and on no measured one; see docs/reference/quality.md.
    """

    # The shortest stretch that gives a spectrum of 64 lines and a run statistic.
    min_samples: int = Field(128, ge=16)
    # Crystal clocks are good to 1e-4; a millesimal keeps recorders that report a measured rate apart from wrong ones.
    rate_tolerance: float = Field(1e-3, gt=0)
    # Gaussian noise cut so that 1 % of its samples are lost carries -27 dB of distortion: as much as measuring noise.
    clipped_share: float = Field(0.01, gt=0)
    # A smooth crest puts half as many samples in its top 0.1 % as in the 0.8 % below; a plateau far more.
    clipped_contrast: float = Field(1.5, gt=0.5)
    # Ten equal values in a row do not happen by chance in a signal that moves by several steps per sample.
    dropout_samples: int = Field(10, ge=3)
    # Coarse converters repeat values at every crest: a dropout outlasts the common repeats four times.
    dropout_repeats: float = Field(4.0, gt=1)
    # One lost sample in a thousand is a click as loud as an impact.
    dropout_share: float = Field(1e-3, gt=0)
    # No lightly damped structure falls by 60 dB from one 32-sample block to the next: a cable does.
    dead_ratio: float = Field(1e-3, gt=0, lt=1)
    # A mean that wanders by twice the vibration is worth a word; by seven times, the converter's range is used up.
    drift_note: float = Field(2.0, gt=0)
    drift_ratio: float = Field(7.0, gt=0)
    # 20 dB above the neighbouring lines: noise alone reaches 12 dB once in 1e6 lines.
    line_prominence: float = Field(100.0, gt=1)
    # Grids keep 50 and 60 Hz within 0.05 Hz; a two-pole induction motor slips by 0.2 Hz and more under load.
    mains_tolerance_hz: float = Field(0.12, gt=0)
    # Hum holds half of the power: what is left of the machine no longer decides the verdict.
    hum_share: float = Field(0.5, gt=0, lt=1)
    # One hundredth of the power is visible in a spectrogram: worth a word.
    hum_note: float = Field(0.01, gt=0, lt=1)
    # A machine's level varies by 6 dB around what was seen; 10 dB below the quietest is another state.
    level_margin_db: float = Field(10.0, gt=0)
    # Below the dullest recording by a factor of four in power: no mechanical fault seen so far does that.
    high_share_margin_db: float = Field(6.0, gt=0)
    # Longer recordings are checked in blocks, so that memory stays bounded: 8 MB at a time.
    block_samples: int = Field(2**20, ge=2**14)


@dataclass(frozen=True, eq=False)
class Signal:
    """Samples of one block, and where they lie in the file."""

    x: Array
    rate_hz: float
    unit: str
    offset_s: float = 0.0

    def at(self, index: int | np.integer) -> float:
        """Time of a sample within the file, in seconds."""
        return self.offset_s + float(index) / self.rate_hz

    @cached_property
    def low(self) -> float:
        """Smallest sample."""
        return float(self.x.min())

    @cached_property
    def high(self) -> float:
        """Largest sample."""
        return float(self.x.max())

    @cached_property
    def step(self) -> Array:
        """Difference of each sample to the one before."""
        return np.diff(self.x)

    @cached_property
    def quantum(self) -> float:
        """Step of the converter, as far as the samples show it."""
        return _converter_step(self.x, self.step)

    @property
    def span(self) -> tuple[float, float]:
        """Start and end in seconds."""
        return self.at(0), self.at(len(self.x))

    def around(self, mask: NDArray[np.bool_]) -> tuple[float, float]:
        """First and last place of a mask in seconds."""
        where = np.flatnonzero(mask)
        return self.at(where[0]), self.at(where[-1] + 1)


def check_signal(signal: Signal, s: QualitySettings) -> list[Finding]:
    """Run every one of `CHECKS`; a gap or a flat line leaves nothing for them."""
    finite = np.isfinite(signal.x)
    if not finite.all():
        return [_gap(signal, ~finite)]
    if signal.high - signal.low <= 2.5 * signal.quantum:
        message = f"flat line: {signal.low:g} to {signal.high:g} {signal.unit} throughout"
        return [Finding("flat_line", True, message, "Check the cable, the sensor's supply and the gain", *signal.span)]
    return [finding for look in CHECKS for finding in look(signal, s)]


def _converter_step(x: Array, step: Array) -> float:
    """Smallest distance between two values, of neighbours or of some 2000 samples spread evenly; 0 for a constant."""
    spread = np.sort(x[:: max(1, len(x) // 2048)])
    gaps = np.concatenate((np.abs(step), np.diff(spread)))
    return float(np.min(gaps, where=gaps > 0, initial=np.inf)) if step.any() else 0.0


def _gap(signal: Signal, bad: NDArray[np.bool_]) -> Finding:
    message = f"{np.count_nonzero(bad)} of {len(bad)} samples are NaN or infinite"
    remedy = "Export the recording again, or cut the gap out"
    return Finding("gap", True, message, remedy, *signal.around(bad), value=float(bad.mean()), limit=0.0)


def _implausible(signal: Signal, s: QualitySettings) -> list[Finding]:
    if signal.unit not in _PLAUSIBLE:
        return []
    most, least = _PLAUSIBLE[signal.unit]
    peak, rms = max(-signal.low, signal.high), float(np.std(signal.x))
    remedy = f"Check the unit: the file was read as {signal.unit}"
    if peak > most:
        message = f"peak {peak:.3g} {signal.unit} is above {most:g}, the largest that sensors measure"
        return [Finding("implausible", True, message, remedy, *signal.span, peak, most)]
    if rms < least:
        message = f"RMS {rms:.3g} {signal.unit} is below {least:g}, the noise of the quietest sensors"
        return [Finding("implausible", True, message, remedy, *signal.span, rms, least)]
    return []


def _clipping(signal: Signal, s: QualitySettings) -> list[Finding]:
    x, low, high, quantum = signal.x, signal.low, signal.high, signal.quantum
    if high - low < 30 * quantum:
        return []  # of so few steps each holds many samples
    middle = float(np.median(x))
    clipped = np.zeros(len(x), bool)
    for depth, reach in ((high - x, high - middle), (x - low, middle - low)):
        # A signal that rests at one end of its range, as between impacts of one sign, is not cut off there.
        if reach > 0.1 * (high - low):
            width = max(1e-3 * (high - low), 1.5 * quantum)
            clipped |= _cut_off(depth, width, s)
    share = int(np.count_nonzero(clipped)) / len(x)
    if share == 0:
        return []
    message = f"{share:.2%} of the samples sit at the end of the range, {low:.4g} to {high:.4g} {signal.unit}"
    remedy, refuse = "Lower the gain or use a sensor of larger range", share >= s.clipped_share
    return [Finding("clipping", refuse, message, remedy, *signal.around(clipped), share, s.clipped_share)]


def _cut_off(depth: Array, width: float, s: QualitySettings) -> NDArray[np.bool_]:
    """Mark the samples at the end of the range if they pile up there, compared with those just inside."""
    top = depth < width
    at_end = np.count_nonzero(top)
    if at_end <= max(s.clipped_contrast * np.count_nonzero((depth >= width) & (depth < 9 * width)), 8):
        return np.zeros(len(depth), bool)
    # A tone in step with the sampling piles up too, one sample a crest, at every crest alike.
    in_plateau = np.count_nonzero(top[2:] & top[1:-1] & top[:-2])
    crests = (depth[1:-1] <= depth[:-2]) & (depth[1:-1] <= depth[2:])
    at_every_crest = np.count_nonzero(crests & top[1:-1]) > 0.8 * np.count_nonzero(crests)
    return np.zeros(len(depth), bool) if at_every_crest and in_plateau < 0.2 * at_end else top


def _dropout(signal: Signal, s: QualitySettings) -> list[Finding]:
    stretches = [*_held(signal.x, signal.step, signal.quantum, s), *_dead(signal.step, signal.quantum, s)]
    if not stretches:
        return []
    lost = np.zeros(len(signal.x), bool)
    for first, last in stretches:
        lost[first:last] = True
    share = float(lost.mean())
    message = f"the signal stands still for {share:.2%} of the samples, in {len(stretches)} stretches"
    remedy, refuse = "Check the cable, the radio link and the recorder's buffer", share >= s.dropout_share
    return [Finding("dropout", refuse, message, remedy, *signal.around(lost), share, s.dropout_share)]


def _held(x: Array, step: Array, quantum: float, s: QualitySettings) -> list[tuple[int, int]]:
    """Find runs of one value, away from the ends of the range, that begin or end with a jump."""
    changes = np.flatnonzero(step)
    if len(changes) == len(step):
        return []
    first, last = np.r_[0, changes + 1], np.r_[changes + 1, len(x)]
    length = last - first
    shortest = max(s.dropout_samples, s.dropout_repeats * float(np.percentile(length, 99)))
    long = np.flatnonzero(length >= shortest)
    low, high = x.min(), x.max()
    runs = zip(first[long].tolist(), last[long].tolist(), strict=True)
    return [(a, b) for a, b in runs if low < x[a] < high and _jump(step, a, b) > 3 * quantum]


def _jump(step: Array, a: int, b: int) -> float:
    """The larger step into or out of a run: a crest, or a ring-down below the converter's step, is left gently."""
    return max(abs(step[a - 1]) if a else 0.0, abs(step[b - 1]) if b <= len(step) else 0.0)


def _dead(step: Array, quantum: float, s: QualitySettings) -> list[tuple[int, int]]:
    """Find 32-sample blocks that fall silent at once, but for the noise of the electronics.

    The fall must be abrupt: between impacts a machine is silent too, but its ring-down takes longer.
    """
    rms = np.sqrt(np.mean(step[: len(step) // 32 * 32].reshape(-1, 32) ** 2, axis=1))
    usual = float(np.quantile(rms, 0.9))
    silent = rms < s.dead_ratio * usual
    if usual < 8 * quantum or not silent.any():
        return []
    edges = np.flatnonzero(np.diff(np.r_[0, silent.astype(np.int8), 0])).reshape(-1, 2)
    # The block at the edge is partly silent; it or the one before must still be loud, by many converter steps.
    loud = max(0.05 * usual, 4 * quantum)
    return [(a * 32, b * 32) for a, b in edges.tolist() if (rms[max(0, a - 2) : a] > loud).any()]


def _drift(signal: Signal, s: QualitySettings) -> list[Finding]:
    n = len(signal.x) // 8 * 8
    blocks = signal.x[:n].reshape(8, -1)
    vibration = float(np.sqrt(np.mean(np.var(blocks, axis=1))))
    ratio = float(np.ptp(blocks.mean(axis=1))) / max(vibration, 1e-30)
    if ratio < s.drift_note:
        return []
    message = f"the mean wanders by {ratio:.1f} times the vibration's RMS"
    remedy = "Let the sensor warm up, check its bias voltage, or use AC coupling"
    return [Finding("drift", ratio >= s.drift_ratio, message, remedy, *signal.span, ratio, s.drift_ratio)]


def _hum(signal: Signal, s: QualitySettings) -> list[Finding]:
    """Sum the narrow lines at 50 or 60 Hz and their harmonics."""
    # 65,536 samples resolve the mains from a slipping motor at every usual rate.
    x = signal.x[: 2**16]
    power = np.abs(np.fft.rfft((x - x.mean()) * hann(len(x), sym=False))) ** 2
    resolution_hz = signal.rate_hz / len(x)
    share, mains_hz, lines = max(_mains_share(power, resolution_hz, f, s) for f in (50.0, 60.0))
    if share < s.hum_note:
        return []
    message = f"mains hum: {lines} lines at multiples of {mains_hz:g} Hz hold {share:.0%} of the power"
    remedy = "Check shield and earth of the cable; if a machine turns at this very speed, raise hum_share"
    return [Finding("mains_hum", share >= s.hum_share, message, remedy, *signal.span, share, s.hum_share)]


def _mains_share(power: Array, resolution_hz: float, mains_hz: float, s: QualitySettings) -> tuple[float, float, int]:
    """Share of power in the lines of one mains frequency, that frequency, and how many lines."""
    lines: list[float] = []
    for k in range(1, 9):
        centre = round(k * mains_hz / resolution_hz)
        if centre < 8 or centre + 16 >= len(power):
            break
        near = power[centre - 2 : centre + 3]
        peak = centre - 2 + int(np.argmax(near))
        around = np.concatenate((power[max(1, centre - 15) : centre - 4], power[centre + 5 : centre + 16]))
        if power[peak] < s.line_prominence * np.median(around):
            if k == 1:
                break
            continue
        # A Hann line's two largest neighbours tell its place between them (Grandke, IEEE T-IM 32, 1983).
        side = 1 if power[peak + 1] > power[peak - 1] else -1
        ratio = float(np.sqrt(power[peak + side] / power[peak]))
        offset = side * (2 * ratio - 1) / (1 + ratio)
        if abs((peak + offset) * resolution_hz / k - mains_hz) <= s.mains_tolerance_hz:
            lines.append(float(power[peak - 2 : peak + 3].sum()))
        elif k == 1:
            break
    # A single line is a machine; hum has harmonics, and its fundamental is not the least of them.
    if len(lines) < 2 or lines[0] < 0.1 * sum(lines):
        return 0.0, mains_hz, 0
    return sum(lines) / float(power[1:].sum()), mains_hz, len(lines)


CHECKS: tuple[Callable[[Signal, QualitySettings], list[Finding]], ...] = (
    _implausible,
    _clipping,
    _dropout,
    _drift,
    _hum,
)
