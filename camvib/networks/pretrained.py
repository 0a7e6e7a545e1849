"""The network that ships with camvib."""

from __future__ import annotations

from collections.abc import Sequence

from camvib.networks.change_cnn import ChangeCnn


def shipped_change_cnn(classes: Sequence[str], widths: tuple[int, int, int], rows: int) -> ChangeCnn | None:
    """Stub."""
    return None
