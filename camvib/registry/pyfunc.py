"""The registry's artefact as code: MLflow runs this file where the model is loaded, so nothing is pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

from camvib.errors import SignalError
from camvib.images.baseline import MIN_RECORDINGS, Baseline
from camvib.model.folder import load_model


class WaveformModel(PythonModel):
    """Waveforms in, logits, probabilities and class maps out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model folder that travels with the version."""
        self._model = load_model(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: np.ndarray | dict[str, np.ndarray],
        params: dict[str, Any] | None = None,
    ) -> dict[str, NDArray[np.floating]]:
        """Classify windows in the unit and at the sampling rate that model.json names.

        Parameters
        ----------
        context : PythonModelContext
        model_input : ndarray, shape (batch, n), or dict
            The windows, or ``waveform`` beside what the model compares with: ``baseline_db`` and ``spread_db``,
            shape (batch, rows) each, see `camvib.images.baseline.Baseline`; or ``speed``, shape (batch,), the shaft's
            speed relative to that of training (``shaft_hz`` in model.json).
        params : dict, optional
            Not used.

        Returns
        -------
        dict
            ``logits`` and ``probabilities``, shape (batch, classes), ``maps``, shape (batch, classes, rows, columns),
            in logits, and ``change``, shape (batch, rows, columns), of a model with baselines.

        Raises
        ------
        SignalError
            A sample is not finite (MLflow's signature lets NaN pass), or the baseline is missing.
        """
        given = model_input if isinstance(model_input, dict) else {"waveform": model_input}
        waveform = np.asarray(given.get("waveform", np.nan))
        if not np.isfinite(waveform).all():
            raise SignalError("the waveform has samples that are not finite, or is missing", "Give it without gaps")
        baseline = None
        if "baseline_db" in given and "spread_db" in given:
            baseline = Baseline(np.asarray(given["baseline_db"]), np.asarray(given["spread_db"]), MIN_RECORDINGS)
        predicted = self._model.predict(waveform, baseline, speed=np.asarray(given.get("speed", 1.0), np.float32))
        probabilities = np.stack([self._model.probabilities(row) for row in predicted.logits])
        answer = {"logits": predicted.logits, "probabilities": probabilities, "maps": predicted.maps}
        return answer if predicted.change is None else {**answer, "change": predicted.change}


set_model(WaveformModel())
