"""Names for the regions of a map."""

from __future__ import annotations

from camvib.records import Region


def name_region(region: Region, modes: tuple[tuple[str, float], ...], tolerance: float) -> str:
    """Name of the mode that a region covers, such as ``2nd bending mode, 62 Hz``; empty for none.

    Of several modes inside, up to three are named; a region that covers more is broadband.
    """
    inside = [
        (name, hz) for name, hz in modes if region.low_hz * (1 - tolerance) <= hz <= region.high_hz * (1 + tolerance)
    ]
    if len(inside) > 3:
        return "broadband"
    if len(inside) > 1:
        centre = (region.low_hz + region.high_hz) / 2
        inside = [mode for mode in inside if region.low_hz <= mode[1] <= region.high_hz] or [
            min(inside, key=lambda mode: abs(mode[1] - centre))
        ]
    return " and ".join(f"{name}, {hz:.0f} Hz" if hz >= 100 else f"{name}, {hz:.3g} Hz" for name, hz in inside)
