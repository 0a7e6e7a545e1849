"""Sensor faults are caught, and machine faults are not taken for them."""

import io
import zipfile

import numpy as np
import pytest

from camvib.recordings.quality import InputSpec, check
from camvib.records import Recording
from camvib.simulation.fleet import CHANNEL, UNIT, FleetPlan, simulate_batch
from camvib.simulation.sensors import SENSOR_FAULTS
from camvib.units import STANDARD_GRAVITY_M_S2

RATE_HZ = 4096.0


def recording(samples, rate_hz=RATE_HZ, unit=UNIT):
    return Recording(samples, rate_hz, unit, CHANNEL, "simulated", "")


def refusals(item, spec=None):
    return {finding.kind for finding in check(item, spec) if finding.refuse}


@pytest.fixture(scope="module")
def spec():
    return InputSpec.learn([recording(x) for x in simulate_batch(FleetPlan(100, 7)).acceleration], 4.0)


@pytest.fixture(scope="module")
def fleet():
    return simulate_batch(FleetPlan(100, 8))


def test_no_clean_recording_is_refused_healthy_or_not(fleet, spec):
    clean = np.concatenate((fleet.twin, fleet.acceleration[fleet.labels != "healthy"]))
    assert [i for i, x in enumerate(clean) if refusals(recording(x), spec)] == []


@pytest.mark.parametrize("fault", SENSOR_FAULTS, ids=lambda fault: fault.label)
def test_sensor_faults_are_caught(fault, fleet, spec):
    rng = np.random.default_rng(9)
    spoiled = [fault.draw(rng).apply(x, RATE_HZ, rng) for x in fleet.acceleration]
    caught = np.mean([bool(refusals(recording(x), spec)) for x in spoiled])
    assert caught >= 0.98


@pytest.mark.parametrize("fault", SENSOR_FAULTS, ids=lambda fault: fault.label)
def test_faults_repeat_with_the_seed_and_leave_the_input_alone(fault, fleet):
    x = fleet.acceleration[0]
    before = x.copy()
    first, second = (
        fault.draw(rng).apply(x, RATE_HZ, rng) for rng in (np.random.default_rng(3), np.random.default_rng(3))
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(x, before)
    assert first.shape == x.shape
    assert not np.array_equal(first, x)


def real_recordings(folder):
    for path in sorted((folder / "cwru").glob("*.npz")):
        with np.load(path) as file:
            for channel in ("DE", "FE"):
                yield path.name, recording(file[channel] * STANDARD_GRAVITY_M_S2, float(file["fs"]))
    for path in sorted((folder / "dropbear8").glob("*.npz")):
        with np.load(path) as file:
            yield path.name, recording(file["low_g_accel_V"], 5000.0, "V")
    for path in sorted((folder / "femto_bearing").glob("*.npz")):
        with np.load(path) as file:
            for snapshot in file["acc_g"]:
                yield path.name, recording(snapshot[:, 0] * STANDARD_GRAVITY_M_S2, 25600.0)
    with zipfile.ZipFile(folder / "bistablex_cantilever" / "recordings.zip") as archive:
        for name in [name for name in archive.namelist() if name.endswith("200mV.csv")]:
            columns = np.loadtxt(io.BytesIO(archive.read(name)), delimiter=",")
            yield name, recording(columns[:, 5], 64.0, "m/s")


def test_no_real_recording_of_a_sound_sensor_is_refused(shared_data):
    refused = {name: kinds for name, item in real_recordings(shared_data) if (kinds := refusals(item))}
    assert refused == {}


def test_a_sensor_driven_into_its_limits_is_told_in_measured_data(shared_data):
    # An ADXL345 at ±16 g on a student's cantilever; its 13-bit steps must not pass for a dropout.
    values = np.genfromtxt(shared_data / "formats" / "Cantilever-Data.csv", delimiter=",", skip_header=1)[:, 1]
    assert refusals(recording(values * STANDARD_GRAVITY_M_S2, 533.7)) == {"clipping"}
