"""Regions get the names of what vibrates there."""

from pathlib import Path

import pytest

from camvib.diagnosis.names import name_region
from camvib.diagnosis.rigs import load_rig
from camvib.errors import SettingsError
from camvib.records import Region


def region(low_hz: float, high_hz: float) -> Region:
    return Region(0.0, 1.0, low_hz, high_hz, 1.0, 1)


def test_the_built_in_cantilever_names_its_bending_modes() -> None:
    rig = load_rig("cantilever", highest_hz=2000)
    names = dict(rig.modes)
    first, second = names["1st bending mode"], names["2nd bending mode"]
    # Slightly below the ideal ratio of 6.267: the clamp is not rigid and the sensor has a mass.
    assert 5.8 < second / first < 6.8
    assert name_region(region(second * 0.97, second * 1.03), rig.modes, rig.tolerance).startswith("2nd bending mode, ")


def test_a_named_table_and_its_tolerance(tmp_path: Path) -> None:
    (tmp_path / "pump.toml").write_text(
        '[rig]\nname = "pump"\ntolerance = 0.05\n[modes]\n"shaft" = 25.0\n"blade" = 150.0\n'
    )
    rig = load_rig(tmp_path / "pump.toml")
    assert name_region(region(24, 26), rig.modes, rig.tolerance) == "shaft, 25 Hz"
    assert name_region(region(27, 30), rig.modes, rig.tolerance) == ""
    assert name_region(region(20, 160), rig.modes, rig.tolerance) == "shaft, 25 Hz and blade, 150 Hz"


def test_many_modes_at_once_are_broadband() -> None:
    modes = tuple((f"line {i}", 10.0 * i) for i in range(1, 6))
    assert name_region(region(5, 60), modes, 0.05) == "broadband"


def test_a_bad_rig_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[rig]\nname = 'x'\n[beam]\nlength = 1\n")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        load_rig(tmp_path / "bad.toml")
    with pytest.raises(SettingsError, match="no such rig"):
        load_rig("trombone")
