"""camvib: vibration diagnosis that shows its evidence.

From a file to a verdict: `read`, `spectrogram`, `train`, `load_model`, `learn_baselines`, `diagnose`, `write_report`,
with the `Settings`, the `Store` and what is `Declared` that they take. Each is imported when it is first asked for, so
that ``import camvib`` costs nothing.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camvib.images.spectrogram import spectrogram
    from camvib.jobs import report_store as write_report
    from camvib.learning.train import train
    from camvib.model.folder import load_model
    from camvib.monitoring.baselines import learn_baselines
    from camvib.monitoring.batch import diagnose
    from camvib.monitoring.ledger import Store
    from camvib.readers import read
    from camvib.records import Declared
    from camvib.settings import Settings

__all__ = [
    "Declared",
    "Settings",
    "Store",
    "diagnose",
    "learn_baselines",
    "load_model",
    "read",
    "spectrogram",
    "train",
    "write_report",
]

__version__ = "0.1.0"

_HOMES = {
    "Declared": "camvib.records:Declared",
    "Settings": "camvib.settings:Settings",
    "Store": "camvib.monitoring.ledger:Store",
    "diagnose": "camvib.monitoring.batch:diagnose",
    "learn_baselines": "camvib.monitoring.baselines:learn_baselines",
    "load_model": "camvib.model.folder:load_model",
    "read": "camvib.readers:read",
    "spectrogram": "camvib.images.spectrogram:spectrogram",
    "train": "camvib.learning.train:train",
    "write_report": "camvib.jobs:report_store",
}

# Threads that wait for each other should sleep, not spin: on a busy two-core machine a training step took 105 ms
# instead of 253 ms, on an idle one the same 52 ms. OpenMP reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# In a checkout, pipelines/ and data/ stand beside this package; the wheel carries them inside it
# (docs/decisions/002-one-wheel.md). Either way they import as camvib.pipelines and camvib.data.
_checkout = Path(__file__).resolve().parents[1]
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
