"""The registry's artefact as code: MLflow runs this file where the model is loaded, so nothing is pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

from camvib.errors import SignalError
from camvib.inference import load_model


class WaveformModel(PythonModel):
    """Waveforms in, logits, probabilities and class maps out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model folder that travels with the version."""
        self._model = load_model(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> dict[str, NDArray[np.floating]]:
        """Classify windows, shape (batch, n), in the unit and at the sampling rate that model.json names.

        Returns
        -------
        dict
            ``logits`` and ``probabilities``, shape (batch, classes), and ``maps``, shape (batch, classes, rows,
            columns), in logits.

        Raises
        ------
        SignalError
            A sample is not finite. MLflow's signature lets NaN pass.
        """
        if not np.isfinite(model_input).all():
            raise SignalError("the waveform has samples that are not finite", "Fill the gaps, or leave them out")
        predicted = self._model.predict(model_input)
        probabilities = np.stack([self._model.probabilities(row) for row in predicted.logits])
        return {"logits": predicted.logits, "probabilities": probabilities, "maps": predicted.maps}


set_model(WaveformModel())
