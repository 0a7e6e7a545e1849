import pytest

from camvib.diagnosis.bearings import name_line
from camvib.recordings import catalog


@pytest.mark.parametrize(("hz", "name"), [(161.5, "BPFI"), (107.4, "BPFO"), (141.2, "2×BSF"), (29.95, "shaft")])
def test_bearing_lines_of_the_cwru_rig_are_named(hz: float, name: str) -> None:
    """29.95 and 161.5 Hz are measured in the file with 7 mil on the inner race at load 0."""
    bearing = catalog.get("cwru").bearing
    assert bearing is not None
    assert name_line(hz, bearing, 1797 / 60) == name
    assert name_line(20.5, bearing, 1797 / 60) == ""
