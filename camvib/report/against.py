"""What speaks against a finding: said on the page as plainly as what speaks for it."""

from __future__ import annotations

from datetime import datetime

from camvib.recordings.plant import Plant
from camvib.report import words
from camvib.report.finding import Material
from camvib.report.view import Row, Trust

FEW_RECORDINGS = 5
OLD_DAYS = 180
LEVEL_SHIFT_DB = 6.0
LIKELY_TOO = 0.05


def against(row: Row, material: Material | None, plant: Plant, trust: Trust) -> list[str]:
    """List what speaks against it, most telling first; never empty."""
    if row.state == "blind":
        return ["Nobody has looked: while it is not judged, silence says nothing about its health"]
    found = [*_proof(material), *_recordings(row, material), *_rival(row, plant), *_baseline(row, material)]
    if trust.accuracy is None:
        found.append("How often this model is right on machines it never saw was not measured")
    return found or ["Nothing that was looked for: see how far to trust this, on the list"]


def _proof(material: Material | None) -> list[str]:
    if not material or not material.proof or material.proof.holds:
        return []
    return ["With the strongest regions brought back to healthy the verdict stays: the explanation is weak"]


def _recordings(row: Row, material: Material | None) -> list[str]:
    found = []
    disagree, of, last = material.disagree if material else (0, 0, None)
    if disagree:
        when = f", the last on {words.day(last)}" if last else ""
        found.append(
            f"{disagree} of {of} recordings since then {'was' if disagree == 1 else 'were'} judged otherwise{when}"
        )
    if row.n and row.n < FEW_RECORDINGS:
        found.append(f"It rests on {row.k} recording{'' if row.k == 1 else 's'}")
    if material and material.channels == 1:
        where = f" ({row.sensor})" if row.sensor else ""
        found.append(f"One sensor only{where}: no second place confirms it")
    if material and material.level_shift_db is not None and abs(material.level_shift_db) >= LEVEL_SHIFT_DB:
        shift = words.decibels(material.level_shift_db)
        found.append(f"The overall level is {shift} from healthy: load or speed may have changed, not the machine")
    return found


def _rival(row: Row, plant: Plant) -> list[str]:
    found = []
    action = plant.action(row.label)
    if row.runner_up and row.runner_up_probability and row.runner_up_probability >= LIKELY_TOO:
        rival = words.human_label(row.runner_up, plant)
        found.append(f"{words.sentence(rival)} would explain it too ({words.percent(row.runner_up_probability)})")
    found += [words.sentence(other) for other in action.also]
    if row.label == "unknown":
        found.append("No fault is named: a new speed, load or fixing looks like this too")
    return found


def _baseline(row: Row, material: Material | None) -> list[str]:
    healthy = material.healthy if material else None
    if healthy is None:
        return ["No healthy baseline of this machine is at hand"] if material else []
    found = []
    if healthy.recordings < FEW_RECORDINGS:
        found.append(f"Its healthy baseline is made of {healthy.recordings} recordings only")
    if healthy.learned_at and row.last:
        age = (row.last - datetime.fromisoformat(healthy.learned_at)).days
        if age > OLD_DAYS:
            found.append(f"Its healthy baseline is {age} days old")
    if row.trend and row.trend.act_db and row.trend.db[-1] < row.trend.act_db:
        now, line = words.tenth(row.trend.db[-1]), words.tenth(row.trend.act_db)
        found.append(f"The change ({now} dB) is below the line for act ({line} dB)")
    return found
