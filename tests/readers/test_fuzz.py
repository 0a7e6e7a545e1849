"""Damaged files: a Recording or a CamvibError, nothing else. The long run is tests/benchmarks/bench_fuzz.py."""

import importlib.util
import random
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camvib.errors import CamvibError
from camvib.readers import describe, read

MUTATIONS_A_FILE = 12
MAX_BYTES = 500_000

MAGIC = [
    b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"RIFF\x10\x00\x00\x00WAVEfmt ", b"PAR1", b"MATLAB 5.0 MAT-file",
    b"\x89HDF\r\n\x1a\n", b"TDSm\x0e\x00\x00\x00", b"    -1\n    58\n", b"    -1\n    58b     1     2          11",
    b"LabVIEW Measurement\t\n",
    b"MDF     4.10    ", b"\x1a\x45\xdf\xa3mide", b"time_s,a_g\n0.000,", b"\xef\xbb\xbf", b"\xff\xfe", b"# fs=100\n",
]  # fmt: skip


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "bench_fuzz.py"
    spec = importlib.util.spec_from_file_location("bench_fuzz", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mutated_real_files(shared_data: Path, bench: ModuleType, tmp_path: Path) -> None:
    rng = random.Random(20240531)
    files = [file for file in bench.seeds(shared_data) if file.stat().st_size <= MAX_BYTES]
    assert len(files) >= 20
    recordings = 0
    for file in files:
        content = file.read_bytes()
        copy = tmp_path / file.name
        for _ in range(MUTATIONS_A_FILE):
            copy.write_bytes(bench.mutate(content, rng)[0])
            begun = time.perf_counter()
            outcome, _ = bench.read_all(copy)
            assert not outcome.startswith("ESCAPED"), outcome
            assert time.perf_counter() - begun < bench.HANG_S, file.name
            recordings += outcome == "recording"
    assert recordings > len(files)  # damage to samples, not to headers, is for the quality gate to judge


def refusal(path: Path) -> CamvibError | None:
    """Read a file both ways; None if it is a recording."""
    try:
        describe(path)
        for recording in read(path, sampling_rate_hz=100, unit="g"):
            assert len(recording.samples) > 1
    except CamvibError as error:
        return error
    return None


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    magic=st.sampled_from(MAGIC),
    rest=st.binary(max_size=400),
    suffix=st.sampled_from([".csv", ".mat", ".wav", ".npz", ""]),
)
def test_any_bytes(tmp_path: Path, magic: bytes, rest: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(magic + rest)
    error = refusal(path)
    assert error is None or (error.remedy and path.name in str(error))


ANY_TEXT = st.text(st.characters(codec="utf-8", categories=["Nd", "Lu", "P", "Z", "Cc"]), max_size=300)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT | st.text("0123456789.,;\t\n -eE+naN:/", max_size=300))
def test_any_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(text.encode())
    error = refusal(path)
    assert error is None or (error.remedy and path.name in str(error))
