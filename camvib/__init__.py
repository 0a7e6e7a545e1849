"""camvib: vibration diagnosis that shows its evidence."""

import os
from pathlib import Path

# Threads that wait for each other should sleep, not spin: on a busy two-core machine a training step took 105 ms
# instead of 253 ms, on an idle one the same 52 ms. OpenMP reads this when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

# In a checkout, pipelines/ and data/ stand beside this package; the wheel carries them inside it
# (docs/decisions/002-one-wheel.md). Either way they import as camvib.pipelines and camvib.data.
_checkout = Path(__file__).resolve().parents[1]
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))
