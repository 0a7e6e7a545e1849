"""The evidence of one diagnosis as one NumPy file, without pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from camvib.records import ActivationMap, ChangeMap, Evidence, Spectrogram


def write_evidence(evidence: Evidence, path: Path) -> None:
    """Write the file whole, or not at all."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp.npz")
    spectrogram, activation = evidence.spectrogram, evidence.contrast
    np.savez_compressed(
        draft,
        spectrogram_db=spectrogram.values_db.astype(np.float16),
        frequency_hz=spectrogram.frequency_hz,
        time_s=spectrogram.time_s,
        map=activation.values.astype(np.float32),
        map_frequency_hz=activation.frequency_hz,
        map_time_s=activation.time_s,
        waveform_low=evidence.waveform_low.astype(np.float32),
        waveform_high=evidence.waveform_high.astype(np.float32),
        spectrum_hz=evidence.spectrum_hz,
        spectrum_db=evidence.spectrum_db.astype(np.float32),
        about=json.dumps(
            {
                "unit": spectrogram.unit,
                "label": activation.label,
                "reference": activation.reference,
                "bias": activation.bias,
            }
        ),
        **_change_arrays(evidence.change),
    )
    draft.replace(path)


def _change_arrays(change: ChangeMap | None) -> dict[str, Any]:
    if change is None:
        return {}
    values = change.values.astype(np.float16)
    return {"change": values, "change_frequency_hz": change.frequency_hz, "change_time_s": change.time_s}


def read_evidence(path: Path) -> Evidence:
    """Read what `write_evidence` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        return Evidence(
            spectrogram=Spectrogram(
                stored["spectrogram_db"].astype(np.float32), stored["frequency_hz"], stored["time_s"], about["unit"]
            ),
            contrast=ActivationMap(
                stored["map"],
                stored["map_frequency_hz"],
                stored["map_time_s"],
                about["label"],
                about["reference"],
                about["bias"],
            ),
            waveform_low=stored["waveform_low"],
            waveform_high=stored["waveform_high"],
            spectrum_hz=stored["spectrum_hz"],
            spectrum_db=stored["spectrum_db"],
            change=_read_change(stored),
        )


def _read_change(stored: Mapping[str, np.ndarray]) -> ChangeMap | None:
    if "change" not in stored:
        return None
    return ChangeMap(stored["change"].astype(np.float32), stored["change_frequency_hz"], stored["change_time_s"])
