"""Make evidence again that was pruned, lost or damaged, where the recording is at hand."""

from __future__ import annotations

from pathlib import Path

from camvib.diagnosis.verdict import judge
from camvib.errors import CamvibError, StoreError
from camvib.images.baseline import Baseline
from camvib.model.model import Model
from camvib.monitoring.ledger import Store
from camvib.monitoring.sources import is_remote, local_copy
from camvib.readers import read
from camvib.records import Diagnosis, Evidence, Recording

_MOST_BYTES = 4 << 30


def evidence_again(store: Store, diagnosis: Diagnosis, model: Model) -> Evidence | None:
    """The evidence of a diagnosis; made again and kept where it is no longer whole.

    Returns
    -------
    Evidence or None
        None where the diagnosis has none (it was refused).

    Raises
    ------
    StoreError
        The recording is not at hand, or is another one now; or another model, or another baseline, gave the verdict.
    """
    if (kept := store.evidence(diagnosis)) is not None or diagnosis.verdict == "refused":
        return kept
    if model.digest != diagnosis.model:
        raise StoreError(
            f"{diagnosis.recording}: model {diagnosis.model} gave the verdict, not {model.digest}",
            "Name the model version that gave it",
        )
    recording = _recording(diagnosis)
    baseline = _baseline(store, diagnosis, model)
    resampled = recording.sampling_rate_hz != diagnosis.sampling_rate_hz
    again, evidence = judge(recording, model, baseline, allow_resample=resampled)
    if evidence is None or again.label != diagnosis.label:
        raise StoreError(
            f"{diagnosis.recording}: judged again it is {again.label or again.verdict}, not {diagnosis.label}",
            "Diagnose it anew: something that the verdict rests on has changed",
        )
    store.renew_evidence(diagnosis, evidence)
    return evidence


def _recording(diagnosis: Diagnosis) -> Recording:
    """Read the recording that a verdict is about."""
    remedy = "Put the recording back in its place"
    path = diagnosis.recording
    if not is_remote(path) and not Path(path).is_file():
        raise StoreError(f"{path}: the recording is gone", remedy)
    try:
        with local_copy(path, _MOST_BYTES) as file:
            end_s = diagnosis.start_s + diagnosis.duration_s
            for start_s, stop_s in ((None, None), (diagnosis.start_s, end_s)):
                for recording in read(
                    file, channel=diagnosis.channel, unit=diagnosis.unit, asset=diagnosis.asset, start_s=start_s,
                    end_s=stop_s,
                ):  # fmt: skip
                    if recording.id == diagnosis.recording_id:
                        return recording
    except CamvibError as error:
        raise StoreError(f"{path}: {error.message}", error.remedy) from error
    raise StoreError(f"{path}: the file holds another recording now", remedy)


def _baseline(store: Store, diagnosis: Diagnosis, model: Model) -> Baseline | None:
    if not model.needs_baseline:
        return None
    used = diagnosis.settings_digest.rpartition("-")[2]
    for kept in store.baselines(diagnosis.asset, model.image_digest):
        if kept.baseline.digest == used:
            return kept.baseline
    raise StoreError(f"{diagnosis.asset}: the baseline {used} is not kept", "Diagnose the recording anew")
