"""Every real file is read with the right rate, channels, unit and length, or refused for a true reason."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from camvib.errors import CamvibError, MissingMetadata, NotATimeSeries, RateConflict, ReadError
from camvib.readers import describe, ide, read, read_channels
from camvib.recordings.folder import LabelledSet
from camvib.records import Declared

G = 9.80665

# file → format, rate in Hz, samples, names and units of the first channels
READ = {
    "MPSTD_Set001_2024.uff": ("uff", 3200, 222400, [("1+Z", "m/s2"), ("2+Z", "m/s2"), ("3+Z", "m/s2")]),
    "Sample_UFF58_ascii.uff": ("uff", 65536, 79292, [("Mic 01", "Pa")]),
    "Sample_UFF58b_bin.uff": ("uff", 65536, 79292, [("Mic 01", "Pa")]),
    "time-history-not-all-columns-filled.uff": ("uff", 20000, 13, [("1x", "m/s²")]),
    "short.lvm": ("lvm", 25600, 10, [("Excitation (Trigger)", "N"), ("Response (Trigger)", "m/s^2")]),
    "no_decimal_separator.lvm": ("lvm", 4000, 4, [("ax", "g"), ("ay", "g"), ("az", "g")]),
    "multi_time_column.lvm": ("lvm", 51200, 3, [("Voltage", "Volts"), ("Acceleration", "g")]),
    "long_single_header_multi_ch.lvm": ("lvm", 1024, 16384, [("F", "g"), ("m_1", "m/s^2"), ("m_2", "m/s^2")]),
    "SSX70065.IDE": ("ide", 3071.84, 37361, [("Acceleration: X", "g"), ("Acceleration: Y", "g")]),
    "test1.IDE": ("ide", 4999.75, 49924, [("Acceleration: X (100g)", "g")]),
    "raw1.tdms": ("tdms", 50000, 2000, [("First  Channel", "Volts"), ("Second Chan", "Volts")]),
    "Digital_Input.tdms": ("tdms", 2000, 20000, [("Dev1_port3_line7 - line 0", None)]),
    "big_endian.tdms": ("tdms", 1000, 3500, [("Amplitude sweep", None), ("Phase sweep", None)]),
    "Cantilever-Data.csv": ("csv", 532.489, 3347, [("Acceleration", None)]),
    "3cssan.near.8.1.RNON.wav": ("wav", 7000, 2599, [("samples", None)]),
    "dropbear_slow10_test0.wav": ("wav", 5000, 70000, [("samples", None)]),
    "dropbear_slow10_test0_v73.mat": ("mat", 5000, 70000, [("accel_V", "V"), ("low_g_accel_V", "V")]),
}  # fmt: skip
# file → error, and what its message must say
REFUSED = {
    "sample_dataset58_psd.uff": (NotATimeSeries, "power spectral density"),
    "non_ascii_header.uff": (NotATimeSeries, "frequency response"),
    "car_loads.h5": (NotATimeSeries, "table of features"),
    "with_comments.lvm": (RateConflict, "uneven"),
    "hrshm7_amp8_impact0.5_vib5.lvm": (RateConflict, "1652.89 Hz"),
    "bvs_2_hore.tsv": (MissingMetadata, "does not state its sampling rate"),
    "dropbear_slow10_test0.parquet": (MissingMetadata, "does not state its sampling rate"),
}
SEVERAL_RATES = {"test.ide", "ASAP2_Demo_V171.mf4"}


@pytest.fixture
def formats(shared_data: Path) -> Path:
    return shared_data / "formats"


@pytest.mark.parametrize("name", READ)
def test_reads(formats: Path, name: str) -> None:
    form, rate_hz, samples, channels = READ[name]
    found = describe(formats / name)
    assert found["format"] == form
    assert found["sampling_rate_hz"] == pytest.approx(rate_hz, rel=2e-6)
    first = found["channels"][: len(channels)]
    assert [(channel["name"], channel["unit"]) for channel in first] == channels
    assert {channel["samples"] for channel in first} == {samples}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_for_a_true_reason(formats: Path, name: str) -> None:
    error, reason = REFUSED[name]
    with pytest.raises(error, match=reason) as caught:
        describe(formats / name)
    assert name in str(caught.value)
    assert caught.value.remedy


def test_no_file_of_the_formats_is_left_out(formats: Path) -> None:
    with (formats / "labels.csv").open(newline="") as table:
        listed = {row["file"]: row for row in csv.DictReader(table)}
    assert set(READ) | set(REFUSED) | SEVERAL_RATES == set(listed)
    for name in set(READ) & {name for name, row in listed.items() if row["fs_hz"]}:
        # Their labels are nominal, of the first block (IDE) or of single steps (Arduino): within 0.35 %.
        assert READ[name][1] == pytest.approx(float(listed[name]["fs_hz"]), rel=3.5e-3)


def test_channels_of_one_file_keep_their_own_rates(formats: Path) -> None:
    rates = {
        c["name"]: (c["sampling_rate_hz"], c["unit"], c["samples"]) for c in describe(formats / "test.ide")["channels"]
    }
    assert rates["Acceleration: X (16g)"] == (pytest.approx(393.8, rel=1e-3), "g", 7113)
    assert rates["Acceleration: X (8g)"] == (pytest.approx(502.03, rel=1e-3), "g", 9070)
    rasters = {c["samples"]: c["sampling_rate_hz"] for c in describe(formats / "ASAP2_Demo_V171.mf4")["channels"]}
    assert rasters[12402] == pytest.approx(1000, rel=1e-4)
    assert rasters[1240] == pytest.approx(100, rel=1e-3)
    assert {recording.unit for recording in read(formats / "ASAP2_Demo_V171.mf4")} == {"m/s"}  # not rpm, not hours


def test_ascii_and_binary_uff_agree(formats: Path) -> None:
    (ascii_,), (binary,) = (list(read(formats / f"Sample_UFF58{kind}.uff")) for kind in ("_ascii", "b_bin"))
    assert ascii_.sampling_rate_hz == binary.sampling_rate_hz
    np.testing.assert_allclose(ascii_.samples, binary.samples, rtol=2e-5, atol=1e-7)


def test_five_formats_of_one_recording_agree(shared_data: Path) -> None:
    folder = shared_data / "formats"
    truth = np.load(shared_data / "dropbear8" / "slow10_test0.npz")["low_g_accel_V"]
    name = "low_g_accel_V"
    (npz,) = read(shared_data / "dropbear8" / "slow10_test0.npz", channel=name)
    (mat,) = read(folder / "dropbear_slow10_test0_v73.mat", channel=name)
    (parquet,) = read(folder / "dropbear_slow10_test0.parquet", channel=name, sampling_rate_hz=5000)
    (text,) = read(shared_data / "dropbear8" / "original" / "slow10_test0.txt", channel="Low G Accel")
    (wav,) = read(folder / "dropbear_slow10_test0.wav", unit="arbitrary")
    for recording in (npz, mat, parquet, text):
        assert (recording.sampling_rate_hz, recording.unit) == (5000, "V")
        np.testing.assert_allclose(recording.samples, truth, atol=6e-6)
    np.testing.assert_allclose(wav.samples * 0.001220703125, truth, atol=6e-6)
    assert wav.unit == "arbitrary"


def test_eight_bit_wav_is_centred(formats: Path) -> None:
    (recording,) = read(formats / "3cssan.near.8.1.RNON.wav", unit="arbitrary")
    raw = (formats / "3cssan.near.8.1.RNON.wav").read_bytes()[-2599:]
    np.testing.assert_array_equal(recording.samples, np.frombuffer(raw, np.uint8).astype(float) - 128)


def test_daqmx_scaling_is_applied(formats: Path) -> None:
    first = read_channels(formats / "raw1.tdms")[0]
    steps = first.samples / 0.0003051850947599719
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert np.abs(first.samples).max() <= 10.01  # a 10 V card


def test_decimated_copies_are_left_out(formats: Path) -> None:
    assert [len(channel.samples) for channel in read_channels(formats / "Digital_Input.tdms")] == [20000]


def test_decimal_comma_in_lvm(formats: Path) -> None:
    force, response = read(formats / "short.lvm")
    assert (force.unit, response.unit) == ("N", "m/s2")
    np.testing.assert_allclose(force.samples[:2], [0.914018, 0.537321])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_lvm_header_that_lies_about_its_rate(shared_data: Path, number: int) -> None:
    file = shared_data / "cantilever_shaker_ds4" / f"data_set_{number}_downsampled_by_16.lvm"
    with pytest.raises(RateConflict, match=r"(?s)51200 Hz.*3200 Hz"):
        describe(file)
    (declared,) = read(file, channel="Acceleration", sampling_rate_hz=4096)
    assert any("4096" in warning and "51200" in warning for warning in declared.warnings)
    (recording,) = read(file, channel="Acceleration", sampling_rate_hz=3200)  # the first file cuts the name
    assert (recording.sampling_rate_hz, recording.unit, len(recording.samples)) == (3200, "m/s2", 63041)
    assert any("51200" in warning for warning in recording.warnings)


def test_unit_label_seconds_is_not_believed(formats: Path) -> None:
    file = formats / "hrshm7_amp8_impact0.5_vib5.lvm"
    with pytest.raises(MissingMetadata, match="unit"):
        list(read(file, channel="accelerometer_base", sampling_rate_hz=1652.89))
    (recording,) = read(file, channel="accelerometer_base", sampling_rate_hz=1652.89, unit="g")
    assert len(recording.samples) == 12375
    assert recording.samples[0] == pytest.approx(0.156378 * G)
    assert any("0.000586" in warning for warning in recording.warnings)


def test_microseconds_with_jitter(formats: Path) -> None:
    (recording,) = read(formats / "Cantilever-Data.csv", unit="g")
    assert recording.sampling_rate_hz == pytest.approx(3346 / 6.2837, rel=1e-3)
    assert any("jitters" in warning for warning in recording.warnings)
    assert recording.samples[0] == pytest.approx(-0.9243 * G)
    (nominal,) = read(formats / "Cantilever-Data.csv", unit="g", sampling_rate_hz=533.7)
    assert nominal.sampling_rate_hz == pytest.approx(533.7, rel=3e-3)


def test_sixty_four_hertz_that_looks_like_62_5(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "bistablex_cantilever" / "recordings.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith((".csv", ".mat"))]
        chosen = [
            *[name for name in names if name.endswith(".mat")][:2],
            *[n for n in names if n.endswith(".csv")][::25],
        ]
        for name in chosen:
            file = Path(archive.extract(name, tmp_path))
            found = list(read(file, unit="arbitrary"))
            assert [recording.sampling_rate_hz for recording in found] == [64, 64, 64], name
            assert {len(recording.samples) for recording in found} == {4096}
            if file.suffix == ".mat":
                assert [channel.unit for channel in read_channels(file)[-3:]] == ["g", "V", "V"]
            else:
                assert any("62.5 Hz" in warning for warning in found[0].warnings)


@pytest.mark.parametrize("name", ["Bearing1_1_acc_00050.csv", "Bearing1_4_acc_00050.csv", "Bearing1_4_acc_01428.csv"])
def test_femto_with_commas_and_semicolons(shared_data: Path, name: str) -> None:
    file = shared_data / "femto_bearing" / "original" / name
    with pytest.raises(MissingMetadata, match=r"25600.\d Hz if in us|25601.\d Hz if in us"):
        describe(file)
    found = describe(file, sampling_rate_hz=25600)
    assert [(c["name"], c["samples"]) for c in found["channels"]] == [("column_5", 2560), ("column_6", 2560)]


def test_filter_settings_are_no_recording(shared_data: Path) -> None:
    with pytest.raises(ReadError, match="numbers"):
        describe(shared_data / "dropbear8" / "original" / "precision_filter_settings.csv")


def test_strain_channels_and_date_of_set0(shared_data: Path) -> None:
    found = describe(shared_data / "dropbear8" / "original" / "set0_test0.txt")
    names = [channel["name"] for channel in found["channels"]]
    assert names == ["Low G Accel", "SG_300_a", "SG_306_b", "Accel", "PinLoc"]
    assert (found["sampling_rate_hz"], found["duration_s"]) == (5000, 12.0)


def test_normal_cwru_file_is_48_khz_among_12_khz(shared_data: Path) -> None:
    folder = shared_data / "cwru"
    (normal,) = read(folder / "1797_Normal.npz", channel="DE", unit="g")
    (fault,) = read(folder / "1772_B_7_DE12.npz", channel="DE", unit="g")
    assert (normal.sampling_rate_hz, fault.sampling_rate_hz) == (48000, 12000)
    (declared,) = read(folder / "1797_Normal.npz", channel="DE", unit="g", sampling_rate_hz=12000)
    assert declared.sampling_rate_hz == 12000
    assert any("12000" in warning and "48000" in warning for warning in declared.warnings)


def test_labelled_sets_load(shared_data: Path) -> None:
    pump = LabelledSet.load(shared_data / "pump_motor_kafeel", Declared("H[:,1]", "arbitrary"))
    assert (len(pump.labels), len(pump.groups)) == (2, 4)
    _, recording = next(pump.recordings())
    assert not isinstance(recording, CamvibError)
    assert (recording.sampling_rate_hz, len(recording.samples), recording.channel) == (1000, 5000, "H[1]")
    femto = LabelledSet.load(shared_data / "femto_bearing", Declared("acc_g[*,:,0]", extra_columns=True))
    snapshots = list(femto.entries[0].recordings())
    assert len(snapshots) == 40
    assert len({recording.id for recording in snapshots}) == 40
    assert snapshots[0].samples[0] == pytest.approx(-0.154 * G, rel=1e-6)


def shifted(content: bytes, ticks: int) -> bytes:
    """Let a recorder's 24-bit counters (elements StartTimeCodeAbsMod, EndTimeCodeAbsMod) start at another count."""
    blocks = []
    for element in ide._elements(io.BytesIO(content), len(content)):
        block = content[element.start : element.start + element.size]
        if element.channel is None:
            blocks.append(block)
            continue
        _, first = ide._number(block, ide._number(block, 0)[1])
        children, at = b"", first
        while at < len(block):
            name, inner = ide._number(block, at, keep_marker=True)
            size, inner = ide._number(block, inner)
            value = block[inner : inner + size]
            if name in (0xBA, 0xBB):
                value = ((int.from_bytes(value, "big") + ticks) % 2**24).to_bytes(4, "big")
            children += bytes([name]) + (len(value) | 1 << 56).to_bytes(8, "big") + value
            at = inner + size
        blocks.append(b"\xa1" + (len(children) | 1 << 56).to_bytes(8, "big") + children)
    return b"".join(blocks)


@pytest.mark.parametrize("name", ["test.ide", "test1.IDE", "SSX70065.IDE", "rollover.IDE"])
def test_ide_piece_by_piece_is_ide_at_once(
    formats: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats / name
    if name == "rollover.IDE":
        path = tmp_path / name
        path.write_bytes(shifted((formats / "SSX70065.IDE").read_bytes(), 2**24 - 6 * 2**15))
    whole = read_channels(path)
    monkeypatch.setattr(ide, "_PIECE_BYTES", 20_000)
    monkeypatch.setattr(ide, "_SLOW_BYTES", 900)
    pieces = read_channels(path)
    for one, other in zip(whole, pieces, strict=True):
        assert (one.name, one.unit, one.sampling_rate_hz) == (other.name, other.unit, other.sampling_rate_hz)
        np.testing.assert_allclose(one.samples, other.samples, rtol=1e-12)
