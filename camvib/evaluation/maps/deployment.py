"""A benchmark network as a model folder: the same weights, calibrated, for ``camvib baseline`` and ``diagnose``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.rigs import load_rig
from camvib.evaluation.maps.data import CLASSES, image_layer
from camvib.evaluation.maps.models import load_map_models
from camvib.images.baseline import MIN_RECORDINGS, Baseline, leave_one_out
from camvib.learning.scores import classification_figures
from camvib.model import calibration
from camvib.model.diagnoser import Diagnoser, Prediction, layer_images
from camvib.model.model import Model
from camvib.networks.change_cnn import ChangeCnn, ChangeNetwork
from camvib.recordings.quality import InputSpec
from camvib.records import Recording
from camvib.settings import Settings
from camvib.simulation.fleet import CHANNEL, UNIT, Batch, FleetPlan, simulate_batch

TRAIN_SEED, VALIDATION_SEED = 101, 201  # of the fleets whose healthy spread, and whose calibration, the model gets


def deploy(folder: Path, *, recordings: int = 400) -> list[Path]:
    """Write a model folder for each network on the change: ``change/model``, ``change_no_twins/model`` in `folder`.

    Parameters
    ----------
    folder : Path
        See `camvib.evaluation.maps.models.save_networks`.
    recordings : int
        Of each of the two fleets, one of a training seed and one of a validation seed.

    Returns
    -------
    list of Path
        The model folders.
    """
    models = load_map_models(folder)
    seen, held = (simulate_batch(FleetPlan(recordings, seed)) for seed in (TRAIN_SEED, VALIDATION_SEED))
    networks = {"change": models.change, "change_no_twins": models.change_no_twins}
    written = []
    for name, network in networks.items():
        if network:
            card = {"twin": "simulated" if name == "change" else "synthetic", "data_digest": "", **models.card}
            written.append(deployable(network, seen, held, card).save(folder / name / "model"))
    return written


def deployable(network: ChangeCnn, seen: Batch, held: Batch, card: dict[str, object]) -> Model:
    """Calibrate a network on the benchmark's images.

    Parameters
    ----------
    network : ChangeCnn
        Classes in the order of `CLASSES`.
    seen, held : Batch
        Recordings of specimens that the network was trained on, and of others: the second alone sets the temperature.
    card : dict
        What is known of the training; figures on `held` are added.
    """
    rate_hz, n = held.sampling_rate_hz, held.acceleration.shape[1]
    settings = Settings.model_validate(
        {"spectrogram": {"window_s": n / rate_hz}, "model": {"name": "change_cnn"}, "twin": {"widths": network.widths}}
    )
    diagnoser = Diagnoser(len(CLASSES), settings, rate_hz)
    assert isinstance(diagnoser.network, ChangeNetwork)
    diagnoser.network.change = network
    waves = np.concatenate([seen.acceleration, held.acceleration])
    recordings = [Recording(wave, rate_hz, UNIT, CHANNEL, "", str(i)) for i, wave in enumerate(waves)]
    rig = load_rig("cantilever", rate_hz / 2)
    unknown = calibration.Calibration(1.0, np.zeros((1, 1)), np.zeros((1, 1)), np.inf)
    draft = Model(diagnoser, CLASSES, CLASSES[0], InputSpec.learn(recordings, n / rate_hz), settings, unknown)
    (known, known_of), (unseen, unseen_of) = (_predicted(draft, batch) for batch in (seen, held))
    fitted = calibration.fit(known.embedding, known_of, unseen.embedding, unseen.logits, unseen_of)
    figures = classification_figures(held.labels.tolist(), unseen.logits, CLASSES)
    measured = {key: figures[key] for key in ("macro_f1", "accuracy")} | {"measured_on": "validation specimens"}
    return Model(
        diagnoser.eval(),
        CLASSES,
        CLASSES[0],
        draft.spec,
        settings,
        fitted,
        modes=rig.modes,
        mode_tolerance=rig.tolerance,
        card={**card, **measured},
    )


def _predicted(model: Model, batch: Batch) -> tuple[Prediction, NDArray[np.int64]]:
    """What the model says of a batch, each recording against other healthy recordings of its specimen; true classes."""
    healthy = layer_images(image_layer(batch.sampling_rate_hz, model.window_s), batch.twin)
    baseline = Baseline(*leave_one_out(healthy, batch.groups), MIN_RECORDINGS)
    return model.predict(batch.acceleration, baseline), np.array([CLASSES.index(label) for label in batch.labels])
