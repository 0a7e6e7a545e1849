"""camvib: vibration diagnosis that shows its evidence."""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout, pipelines/ and data/ stand beside this package; the wheel carries them inside it
# (docs/decisions/002-one-wheel.md). Either way they import as camvib.pipelines and camvib.data.
_checkout = Path(__file__).resolve().parents[1]
if (_checkout / "pyproject.toml").is_file():
    __path__.append(str(_checkout))
