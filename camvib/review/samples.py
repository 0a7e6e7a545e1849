"""A ledger's recordings read again from their files: for the proof, for listening, for the overall level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camvib.errors import CamvibError, ReadError
from camvib.model.model import Model
from camvib.recordings.entries import Entry
from camvib.recordings.long_signals import power_density
from camvib.recordings.plant import ZONES_20816_3, Machine
from camvib.recordings.resampling import resample
from camvib.records import Diagnosis, Recording
from camvib.report.finding import Overall

BAND_HZ = (10.0, 1000.0)  # of the overall velocity, as in ISO 20816-1


def read_again(diagnosis: Diagnosis) -> Recording:
    """Read the recording that a diagnosis is of.

    Raises
    ------
    CamvibError
        The file is gone, cannot be read, or holds other samples than those that were judged.
    """
    return _found(diagnosis)[1]


def entry_of(diagnosis: Diagnosis) -> Entry:
    """What must be declared of a file so that it reads as it was judged: nothing, if it says everything itself.

    Raises
    ------
    CamvibError
        See `read_again`.
    """
    return _found(diagnosis)[0]


def _found(diagnosis: Diagnosis) -> tuple[Entry, Recording]:
    path = Path(diagnosis.recording)
    if not path.is_file():
        raise ReadError(f"{path}: the recording is no longer there", "Put it back to see the proof and to listen")
    channel, unit = diagnosis.channel or None, diagnosis.unit or None
    plain = Entry(path, channel=channel)
    part = replace(plain, start_s=diagnosis.start_s, end_s=diagnosis.start_s + diagnosis.duration_s)
    rate = diagnosis.sampling_rate_hz or None
    tries = [plain, replace(plain, unit=unit), replace(plain, sampling_rate_hz=rate, unit=unit)]
    tries += [part, replace(part, unit=unit), replace(part, sampling_rate_hz=rate, unit=unit)]
    last: CamvibError | None = None
    for entry in tries:
        try:
            for recording in entry.recordings():
                if recording.id == diagnosis.recording_id:
                    return entry, recording
        except CamvibError as error:
            last = error
    raise last or ReadError(
        f"{path}: it holds other samples than those that were judged", "Diagnose it again: camvib diagnose"
    )


def as_judged(recording: Recording, model: Model) -> Recording:
    """Bring a recording to the model's rate, as the diagnosis did."""
    if recording.sampling_rate_hz == model.spec.sampling_rate_hz:
        return recording
    return resample(recording, model.spec.sampling_rate_hz)


def overall(recording: Recording, healthy: Recording | None, machine: Machine) -> Overall | None:
    """Overall level of a recording; None where its unit has none.

    Acceleration is integrated in the frequency domain to velocity, 10 Hz to 1 kHz, unless the limit is one of
    acceleration. A zone of ISO 20816-3 is given only where the plant file says that the standard covers the machine.
    """
    if recording.unit not in ("m/s2", "m/s"):
        return None
    unit = machine.limit.unit if machine.limit else "mm/s"
    if unit == "m/s2" and recording.unit != "m/s2":
        return None
    level = _rms(recording, unit)
    before = _rms(healthy, unit) if healthy is not None and healthy.unit == recording.unit else None
    zone = ""
    if machine.iso_20816_3 and unit == "mm/s":
        zone = "ABCD"[int(np.searchsorted(ZONES_20816_3[machine.iso_20816_3], level, side="right"))]
    limit = machine.limit
    return Overall(level, unit, before, limit.rms if limit else None, limit.source if limit else "", zone)


def _rms(recording: Recording, unit: str) -> float:
    hz, density = power_density(
        recording.samples, recording.sampling_rate_hz, min(len(recording.samples), int(recording.sampling_rate_hz))
    )
    inside = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    width = float(hz[1] - hz[0])
    if unit == "m/s2":
        return float(np.sqrt(density.sum() * width))
    velocity = density[inside] / (2 * np.pi * hz[inside]) ** 2 if recording.unit == "m/s2" else density[inside]
    return float(1000 * np.sqrt(_total(velocity, width)))


def _total(density: NDArray[np.floating], width: float) -> float:
    return float(density.sum() * width)
