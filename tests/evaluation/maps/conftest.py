"""Simulated sets, and model folders too small to know anything."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from camvib.evaluation.maps.data import CLASSES, DURATION_S, RATE_HZ, MapData, simulated
from camvib.model.calibration import Calibration
from camvib.model.committee import Committee
from camvib.model.diagnoser import Diagnoser
from camvib.model.model import Model
from camvib.recordings.quality import InputSpec
from camvib.settings import Settings
from camvib.simulation.fleet import FleetPlan

ORDER = ("healthy", "crack", "impact", "loose_clamp", "tip_mass")  # as training sorts them
assert set(ORDER) == set(CLASSES)
MakeModel = Callable[..., Model]


@pytest.fixture(scope="session")
def data() -> MapData:
    return simulated(FleetPlan(10, seed=77))


@pytest.fixture(scope="session")
def pairs() -> MapData:
    return simulated(FleetPlan(10, seed=78, faults_per_recording=2))


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Make a model of untrained networks; several names make a committee."""

    def make(*networks: str, classes: tuple[str, ...] = ORDER, window_s: float = DURATION_S, rows: int = 32) -> Model:
        members = []
        for seed, name in enumerate(networks):
            settings = Settings.model_validate(
                {
                    "image": {"window_s": window_s, "rows": rows, "columns": rows},
                    "model": {"name": name, "widths": (8, 8, 8), "channels": (8, 8, 8)},
                }
            )
            torch.manual_seed(seed)
            members.append(Diagnoser(len(classes), settings, RATE_HZ).eval())
        diagnoser = members[0] if len(members) == 1 else Committee(members, [1.0] * len(members)).eval()
        size = {"change_cnn": 48, "gap_cnn": 8, "row_linear": rows}[networks[0]]
        never_unknown = Calibration(1.0, np.zeros((1, size)), np.eye(size), 1e9)
        spec = InputSpec(RATE_HZ, "m/s2", window_s)
        return Model(diagnoser, classes, "healthy", spec, members[0].settings, never_unknown)

    return make
