"""Evidence as a file: 8 bits a cell (16 of small maps), the scale kept, packed with zstd; .npz of 0.1 is read too.

The map's mean is kept exactly, so that map and logit add up after reading as before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from camvib.errors import StoreError
from camvib.records import ActivationMap, ChangeMap, Evidence, Spectrogram

MAGIC = b"CVEV\x02"
MOST_BYTES = 1 << 28  # of a file unpacked: more is no evidence
_STALE_S = 3600.0
_FEW_CELLS = 4096  # a map so small is kept with 16 bits
_Packed = tuple[dict[str, Any], bytes]  # what an array is like, and its bytes


class Written(NamedTuple):
    """An evidence file: its name below the folder, what its bytes hash to, how many they are."""

    file: str
    sha256: str
    bytes: int


def write_evidence(evidence: Evidence, folder: Path, stem: str) -> Written:
    """Write an evidence file whole or not at all; its name has the digest in it, so that none overwrites another.

    Raises
    ------
    StoreError
        The disk is full, or the folder cannot be written to.
    """
    packed = pack(evidence)
    sha256 = hashlib.sha256(packed).hexdigest()
    file = f"{stem[:2]}/{stem}-{sha256[:8]}.cve"
    target = folder / file
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(packed)
        draft.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreError(
            f"{target}: {error.strerror}",
            "Free space, or grant the permission to write; the next run goes on from here",
        ) from error
    return Written(file, sha256, len(packed))


def read_evidence(path: Path, sha256: str = "") -> Evidence:
    """Read an evidence file, and check that it is the one that was written.

    Parameters
    ----------
    path : Path
    sha256 : str
        What its bytes must hash to; empty for a file from before digests were kept.

    Raises
    ------
    StoreError
        It is missing, damaged, or another one.
    """
    remedy = "Diagnose the recording again to have it made anew"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", remedy) from error
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise StoreError(f"{path}: is not the evidence that was written ({len(content)} bytes)", remedy)
    try:
        return unpack(content) if content.startswith(MAGIC) else _read_npz(path)
    # Bytes of an older file have no digest: whatever they make a parser say, they are damaged.
    except Exception as error:
        raise StoreError(f"{path}: damaged evidence ({type(error).__name__})", remedy) from error


def sweep(folder: Path) -> int:
    """Remove drafts of processes that are gone; returns how many."""
    removed = 0
    for draft in [*folder.glob("*/.*.tmp"), *folder.glob("*/*.tmp.npz")]:
        pid = draft.name.removesuffix(".npz").removesuffix(".tmp").rpartition(".")[2]
        with contextlib.suppress(OSError):
            mine = pid.isdigit() and _alive(int(pid))
            if not mine or time.time() - draft.stat().st_mtime > _STALE_S:
                draft.unlink()
                removed += 1
    return removed


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def pack(evidence: Evidence) -> bytes:
    """Bytes of an evidence file."""
    spectrogram, shown, change = evidence.spectrogram, evidence.contrast, evidence.change
    arrays = {
        "spectrogram_db": _cells(spectrogram.values_db),
        "frequency_hz": _axis(spectrogram.frequency_hz),
        "time_s": _axis(spectrogram.time_s),
        "map": _cells(shown.values, np.uint16 if shown.values.size <= _FEW_CELLS else np.uint8),
        "map_frequency_hz": _axis(shown.frequency_hz),
        "map_time_s": _axis(shown.time_s),
        "waveform_low": _cells(evidence.waveform_low, np.uint16),
        "waveform_high": _cells(evidence.waveform_high, np.uint16),
        "spectrum_hz": _axis(evidence.spectrum_hz),
        "spectrum_db": _cells(evidence.spectrum_db),
    }
    if change is not None:
        arrays |= {
            "change": _cells(change.values),
            "change_frequency_hz": _axis(change.frequency_hz),
            "change_time_s": _axis(change.time_s),
        }
    for name, whole in (("change_frequency_hz", "frequency_hz"), ("change_time_s", "time_s")):
        if arrays.get(name) == arrays[whole]:
            arrays[name] = {"kind": "same", "as": whole}, b""
    about = {
        "unit": spectrogram.unit,
        "label": shown.label,
        "reference": shown.reference,
        "bias": shown.bias,
        "mean": float(shown.values.mean()),
        "arrays": {name: described for name, (described, _) in arrays.items()},
    }
    head = json.dumps(about, allow_nan=False).encode()
    body = b"".join(data for _, data in arrays.values())
    return MAGIC + zstandard.ZstdCompressor(level=3).compress(len(head).to_bytes(4, "little") + head + body)


def unpack(content: bytes) -> Evidence:
    """Evidence from the bytes of its file."""
    plain = zstandard.ZstdDecompressor().decompress(content[len(MAGIC) :], max_output_size=MOST_BYTES)
    length = int.from_bytes(plain[:4], "little")
    about = json.loads(plain[4 : 4 + length])
    arrays: dict[str, NDArray[np.float64]] = {}
    offset = 4 + length
    for name, described in about["arrays"].items():
        if described["kind"] == "same":
            arrays[name] = arrays[described["as"]]
        else:
            arrays[name], offset = _array(described, plain, offset)
    shown = arrays["map"] + (about["mean"] - arrays["map"].mean())
    return Evidence(
        spectrogram=Spectrogram(
            arrays["spectrogram_db"].astype(np.float32), arrays["frequency_hz"], arrays["time_s"], about["unit"]
        ),
        contrast=ActivationMap(
            shown, arrays["map_frequency_hz"], arrays["map_time_s"], about["label"], about["reference"], about["bias"]
        ),
        waveform_low=arrays["waveform_low"].astype(np.float32),
        waveform_high=arrays["waveform_high"].astype(np.float32),
        spectrum_hz=arrays["spectrum_hz"],
        spectrum_db=arrays["spectrum_db"].astype(np.float32),
        change=_change(arrays),
    )


def _cells(
    values: NDArray[np.floating], kind: type[np.unsignedinteger[Any]] = np.uint8
) -> tuple[dict[str, Any], bytes]:
    """Whole numbers from 0 on, with what one step is and where 0 lies."""
    low, high = float(values.min()), float(values.max())
    step = (high - low) / np.iinfo(kind).max or 1.0
    whole = np.rint((np.asarray(values, np.float64) - low) / step).astype(kind)
    return {"kind": np.dtype(kind).name, "shape": list(values.shape), "low": low, "step": step}, whole.tobytes()


def _axis(values: NDArray[np.floating]) -> _Packed:
    """Steps of a grid where the values lie on one, exact to rounding; else the values."""
    values = np.asarray(values, np.float64)
    steps = np.diff(values)
    least = float(steps.min()) if len(steps) else 0.0
    if least > 0:
        counts = np.rint(steps / least)
        step = float(values[-1] - values[0]) / float(counts.sum())
        grid = values[0] + step * np.concatenate([[0.0], np.cumsum(counts)])
        if counts.max() <= 255 and np.abs(grid - values).max() <= 1e-7 * max(abs(values[0]), abs(values[-1])):
            return {"kind": "grid", "n": len(values), "low": float(values[0]), "step": step}, counts.astype(
                np.uint8
            ).tobytes()
    return {"kind": "float64", "shape": [len(values)]}, values.tobytes()


def _array(described: Mapping[str, Any], plain: bytes, offset: int) -> tuple[NDArray[np.float64], int]:
    if described["kind"] == "grid":
        n = described["n"] - 1
        counts = np.frombuffer(plain, np.uint8, n, offset)
        steps = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
        return described["low"] + described["step"] * steps, offset + n
    kind = np.dtype(described["kind"])
    n = int(np.prod(described["shape"]))
    values = np.frombuffer(plain, kind, n, offset).reshape(described["shape"]).astype(np.float64)
    if kind != np.float64:
        values = described["low"] + described["step"] * values
    return values, offset + n * kind.itemsize


def _change(arrays: Mapping[str, NDArray[Any]]) -> ChangeMap | None:
    if "change" not in arrays:
        return None
    values = arrays["change"].astype(np.float32)
    return ChangeMap(values, arrays["change_frequency_hz"], arrays["change_time_s"])


def _read_npz(path: Path) -> Evidence:
    """Evidence as camvib 0.1 wrote it."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        shown = stored["map"], stored["map_frequency_hz"], stored["map_time_s"]
        image = stored["spectrogram_db"].astype(np.float32)
        return Evidence(
            spectrogram=Spectrogram(image, stored["frequency_hz"], stored["time_s"], about["unit"]),
            contrast=ActivationMap(*shown, about["label"], about["reference"], about["bias"]),
            waveform_low=stored["waveform_low"],
            waveform_high=stored["waveform_high"],
            spectrum_hz=stored["spectrum_hz"],
            spectrum_db=stored["spectrum_db"],
            change=_change(stored),
        )
