"""Unit words to SI. An unknown unit is refused, never guessed."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from camvib.errors import UnitError

STANDARD_GRAVITY_M_S2 = 9.80665  # exact, CGPM 1901
ARBITRARY = "arbitrary"


class Unit(NamedTuple):
    """An SI unit and the factor that brings a value to it."""

    si: str
    factor: float
    quantity: str


_UNITS: dict[str, Unit] = {
    ARBITRARY: Unit(ARBITRARY, 1.0, "arbitrary"),
    "m/s2": Unit("m/s2", 1.0, "acceleration"),
    "mm/s2": Unit("m/s2", 1e-3, "acceleration"),
    "g": Unit("m/s2", STANDARD_GRAVITY_M_S2, "acceleration"),
    "mg": Unit("m/s2", STANDARD_GRAVITY_M_S2 * 1e-3, "acceleration"),
    "in/s2": Unit("m/s2", 0.0254, "acceleration"),
    "m/s": Unit("m/s", 1.0, "velocity"),
    "mm/s": Unit("m/s", 1e-3, "velocity"),
    "in/s": Unit("m/s", 0.0254, "velocity"),
    "m": Unit("m", 1.0, "displacement"),
    "mm": Unit("m", 1e-3, "displacement"),
    "um": Unit("m", 1e-6, "displacement"),
    "mil": Unit("m", 25.4e-6, "displacement"),
    "V": Unit("V", 1.0, "voltage"),
    "mV": Unit("V", 1e-3, "voltage"),
    "Pa": Unit("Pa", 1.0, "pressure"),
    "N": Unit("N", 1.0, "force"),
    "kN": Unit("N", 1e3, "force"),
    "lbf": Unit("N", 4.4482216152605, "force"),
    "strain": Unit("strain", 1.0, "strain"),
    "ustrain": Unit("strain", 1e-6, "strain"),
    "A": Unit("A", 1.0, "current"),
    "rad/s": Unit("rad/s", 1.0, "angular velocity"),
    "deg/s": Unit("rad/s", 0.017453292519943295, "angular velocity"),
    "s": Unit("s", 1.0, "time"),
    "ms": Unit("s", 1e-3, "time"),
    "us": Unit("s", 1e-6, "time"),
}

_SPELLINGS = {
    "m/s^2": "m/s2", "m/s**2": "m/s2", "m/s²": "m/s2", "m s-2": "m/s2", "m/sec^2": "m/s2",
    "m/s/s": "m/s2", "ms-2": "m/s2", "m_s2": "m/s2", "mm/s^2": "mm/s2", "mm/s²": "mm/s2",
    "G": "g", "gn": "g", "g_n": "g", "mm_s": "mm/s", "m_s": "m/s", "ips": "in/s",
    "µm": "um", "μm": "um", "volt": "V", "volts": "V", "Volts": "V", "Volt": "V", "v": "V",
    "pa": "Pa", "newton": "N", "m/m": "strain", "ue": "ustrain", "µm/m": "ustrain", "um/m": "ustrain",
    "me": "ustrain", "amps": "A", "Amps": "A", "°/s": "deg/s", "dps": "deg/s", "sec": "s",
    "seconds": "s", "µs": "us", "a.u.": ARBITRARY, "au": ARBITRARY, "counts": ARBITRARY, "count": ARBITRARY,
}  # fmt: skip


def parse_unit(word: str) -> Unit:
    """Look a unit word up.

    Parameters
    ----------
    word : str
        As written in a file or declared by a person, e.g. ``"g"``, ``"mm/s"``, ``"arbitrary"``.

    Raises
    ------
    UnitError
        The word is not known.
    """
    key = word.strip().strip("[]()").strip()
    unit = _UNITS.get(_SPELLINGS.get(key, key))
    if unit is None:
        close = difflib.get_close_matches(key, [*_UNITS, *_SPELLINGS], n=3)
        hint = f"did you mean {', '.join(close)}? " if close else ""
        raise UnitError(
            f"unknown unit {word!r}",
            f"{hint}Use one of {', '.join(_UNITS)}; declare 'arbitrary' if the level has no meaning",
        )
    return unit
