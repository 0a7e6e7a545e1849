"""Names for the frequencies of an envelope: which part of a bearing strikes that often?"""

from __future__ import annotations

from collections.abc import Iterator

from camvib.recordings.catalog import Bearing

TOLERANCE = 0.025  # balls slip by one to two per cent, and a nominal speed is off by as much


def fault_lines(bearing: Bearing, shaft_hz: float, harmonics: int = 4) -> Iterator[tuple[str, float]]:
    """Name → frequency in Hz of the strikes of each part, their multiples, and the shaft's.

    A ball strikes both races in one turn, so its line is twice its spin (2×BSF); faults on turning parts are
    modulated, by the shaft (inner race) or the cage (ball), which gives the sidebands.
    """
    parts = {"BPFI": bearing.bpfi, "BPFO": bearing.bpfo, "2×BSF": bearing.bsf2, "FTF": bearing.ftf, "shaft": 1.0}
    for name, orders in parts.items():
        for harmonic in range(1, harmonics + 1):
            yield (name if harmonic == 1 else f"{harmonic}·{name}"), harmonic * orders * shaft_hz
    for side, sign in (("−", -1), ("+", 1)):
        yield f"BPFI{side}shaft", (bearing.bpfi + sign) * shaft_hz
        yield f"2×BSF{side}FTF", (bearing.bsf2 + sign * bearing.ftf) * shaft_hz


def name_line(frequency_hz: float, bearing: Bearing, shaft_hz: float, tolerance: float = TOLERANCE) -> str:
    """Name of the line nearest to a frequency; empty when none is within `tolerance` (relative).

    Examples
    --------
    The inner race of the CWRU drive-end bearing at 1797 rpm:

    >>> from camvib.recordings.catalog import get
    >>> name_line(161.5, get("cwru").bearing, 1797 / 60)
    'BPFI'
    """
    name, distance = min(
        ((name, abs(frequency_hz / line - 1)) for name, line in fault_lines(bearing, shaft_hz)),
        key=lambda item: item[1],
    )
    return name if distance <= tolerance else ""
