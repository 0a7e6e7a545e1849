"""Whether verdicts rest on what the report points at: the top regions are brought back to the healthy level."""

from __future__ import annotations

import numpy as np

from camvib.diagnosis.proof import prove
from camvib.diagnosis.verdict import judge
from camvib.evaluation.maps.answers import baseline_for
from camvib.evaluation.maps.data import MapData
from camvib.images.baseline import Baseline
from camvib.model.model import Model
from camvib.records import Recording
from camvib.simulation.fleet import CHANNEL, UNIT


def changed_share(model: Model, data: MapData) -> dict[str, float]:
    """Judge each recording, and prove each fault verdict as the report does.

    Returns
    -------
    dict
        `changed_share`: of the fault verdicts those that name another label without their regions; NaN where there is
        no fault verdict. A verdict that no region speaks for does not change. `holds`: those that change, or become
        less than half as likely. `verdicts`: how many there are. `share_of_cells`: how much of the image the regions
        are, on average.
    """
    baseline = baseline_for(model.diagnoser.image, data)
    changed: list[bool] = []
    holds: list[bool] = []
    touched: list[float] = []
    for i, samples in enumerate(data.waveforms):
        recording = Recording(samples, data.batch.sampling_rate_hz, UNIT, CHANNEL, "", str(i))
        own = Baseline(baseline.mean_db[i], baseline.spread_db[i], baseline.recordings)
        diagnosis, evidence = judge(recording, model, own)
        if diagnosis.verdict != "fault" or evidence is None:
            continue
        if not any(region.sign > 0 for region in diagnosis.regions):
            changed.append(False)
            holds.append(False)
            continue
        proof = prove(recording, model, diagnosis.regions, diagnosis.label, evidence.spectrogram, own)
        changed.append(proof.label_after != diagnosis.label)
        holds.append(proof.holds)
        touched.append(proof.share_of_cells)
    means = [float(np.mean(values)) if values else float("nan") for values in (changed, holds, touched)]
    return {"changed_share": means[0], "holds": means[1], "verdicts": len(changed), "share_of_cells": means[2]}
