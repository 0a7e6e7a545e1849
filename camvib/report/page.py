"""Diagnoses and their evidence → one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from tqdm import tqdm

from camvib import __version__
from camvib.drawing.figures import evidence_scale, power_unit, pretty_unit
from camvib.drawing.paths import envelope_path, line_path
from camvib.drawing.png import Picture, compact, evidence_picture, level_picture, on_grid
from camvib.drawing.ticks import Axis, Tick
from camvib.errors import CamvibError
from camvib.records import ActivationMap, Diagnosis, Evidence, Region
from camvib.report import words
from camvib.report.changes import SAID, SIGNS, ChangeView

HERE = Path(__file__).parent
# Most urgent first: this is the order in which a person has to act.
VERDICTS = ("fault", "unknown", "refused", "healthy")


@dataclass(frozen=True)
class Contrast:
    """The map and its sum, turned so that red always speaks for the fault.

    A healthy verdict's map is given for healthy against the runner-up; drawn as it is, a healthy
    recording would be red all over. `turned` is -1 there.
    """

    map: ActivationMap
    turned: int

    @classmethod
    def of(cls, diagnosis: Diagnosis, activation_map: ActivationMap) -> Contrast:
        """Turn the map of a healthy verdict round, if it names what healthy is held against."""
        healthy = diagnosis.verdict == "healthy" and activation_map.label == diagnosis.label
        return cls(activation_map, -1 if healthy and activation_map.reference else 1)

    @property
    def red(self) -> str:
        """The class that red cells speak for."""
        return self.map.label if self.turned > 0 else self.map.reference

    @property
    def blue(self) -> str:
        """The class that blue cells speak for; empty for a plain class map."""
        return self.map.reference if self.turned > 0 else self.map.label

    @property
    def bias(self) -> float:
        """Share of the logit that lies nowhere in the picture."""
        return self.turned * self.map.bias

    @property
    def mean(self) -> float:
        """Mean of the map, logits."""
        return self.turned * float(self.map.values.mean())

    @property
    def sum(self) -> float:
        """Log odds of red against blue."""
        return self.bias + self.mean


@dataclass(frozen=True)
class Box:
    """A region in percent of the picture."""

    number: int
    red: bool
    left: float
    bottom: float
    width: float
    height: float

    @property
    def high(self) -> bool:
        """Whether a number above the frame would stand outside the picture."""
        return self.bottom + self.height > 93


@dataclass(frozen=True)
class Plot:
    """Ticks and path of a small line plot."""

    path: str
    x: list[Tick]
    y: list[Tick]


@dataclass(frozen=True)
class Figure:
    """Everything drawn for one recording."""

    contrast: Contrast
    level: Picture
    evidence: Picture
    change: ChangeView | None
    time: list[Tick]
    frequency: list[Tick]
    boxes: list[Box]
    waveform: Plot
    spectrum: Plot


@dataclass(frozen=True)
class Case:
    """One recording of the report."""

    number: int
    diagnosis: Diagnosis
    drawn_from: Evidence | None
    scale: float

    @property
    def name(self) -> str:
        """File name without its folder, whichever system wrote the path."""
        return PurePath(self.diagnosis.recording.replace("\\", "/")).name or "unnamed recording"

    @property
    def probability(self) -> float | None:
        """Probability of the label, if there is one."""
        return self.diagnosis.probabilities.get(self.diagnosis.label)

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Classes from most to least probable."""
        return sorted(self.diagnosis.probabilities.items(), key=lambda item: -item[1])

    @property
    def prepared(self) -> list[str]:
        """What was done to the samples on purpose."""
        return [note for note in self.diagnosis.warnings if words.is_step(note)]

    @property
    def noticed(self) -> list[str]:
        """What the reader noticed."""
        return [note for note in self.diagnosis.warnings if not words.is_step(note)]

    def figure(self) -> Figure | None:
        """Draw the pictures; not kept, so that a long report holds one recording's at a time."""
        return draw(self.diagnosis, self.drawn_from, self.scale) if self.drawn_from else None


def draw(diagnosis: Diagnosis, evidence: Evidence, scale: float) -> Figure:
    """Turn evidence into pictures, paths and ticks."""
    spectrogram = compact(evidence.spectrogram)
    contrast = Contrast.of(diagnosis, evidence.contrast)
    time, frequency = Axis.of_cells(spectrogram.time_s), Axis.of_cells(spectrogram.frequency_hz)
    return Figure(
        contrast=contrast,
        level=level_picture(spectrogram),
        evidence=evidence_picture(contrast.turned * on_grid(contrast.map, spectrogram), scale),
        change=ChangeView.of(evidence.change, diagnosis.regions, spectrogram) if evidence.change else None,
        time=time.ticks(),
        frequency=frequency.ticks(8),
        boxes=[_box(n, r, time, frequency, contrast.turned) for n, r in enumerate(diagnosis.regions, 1)],
        waveform=_waveform(diagnosis, evidence),
        spectrum=_spectrum(evidence, frequency),
    )


def _box(number: int, region: Region, time: Axis, frequency: Axis, turned: int) -> Box:
    left, right = (round(float(v), 2) for v in 100 * time.position([region.start_s, region.end_s]))
    bottom, top = (round(float(v), 2) for v in 100 * frequency.position([region.low_hz, region.high_hz]))
    return Box(number, region.sign * turned > 0, left, bottom, round(right - left, 2), round(top - bottom, 2))


def _waveform(diagnosis: Diagnosis, evidence: Evidence) -> Plot:
    low, high = evidence.waveform_low, evidence.waveform_high
    finite = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)]])
    bottom, top = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    margin = 0.05 * (top - bottom)
    level = Axis.between(bottom - margin, top + margin)
    time = Axis.between(diagnosis.start_s, diagnosis.start_s + diagnosis.duration_s)
    return Plot(envelope_path(low, high, level), time.ticks(), level.ticks(4))


def _spectrum(evidence: Evidence, frequency: Axis) -> Plot:
    """Draw the spectrum along the spectrogram's own frequency axis, so that the two can be compared."""
    hz, db = evidence.spectrum_hz, evidence.spectrum_db
    seen = (hz >= frequency.edges[0]) & (hz <= frequency.edges[-1]) & np.isfinite(db)
    hz, db = hz[seen], db[seen]
    bottom, top = (max(float(db.min()), float(db.max()) - 100), float(db.max())) if len(db) else (-100.0, 0.0)
    level = Axis.between(bottom, top + 0.05 * (top - bottom))
    return Plot(line_path(frequency.position(hz), level.position(db)), frequency.ticks(), level.ticks(4))


def write_report(
    cases: Iterable[tuple[Diagnosis, Evidence | None]],
    out: Path,
    *,
    title: str = "Vibration diagnosis",
    model: dict[str, object] | None = None,
    progress: bool = True,
) -> Path:
    """Write one self-contained HTML page on a batch of recordings and return its path.

    Parameters
    ----------
    cases : iterable of (Diagnosis, Evidence or None)
        Refused recordings have no evidence; they are listed with reason and remedy.
    out : Path
        The page; it is replaced as a whole or left as it was.
    title : str
    model : dict, optional
        Any of ``name``, ``version``, ``accuracy`` and ``macro_f1`` (0 to 1, on unseen groups),
        ``test_groups`` (a number or the names), and ``map_scale_logits``, the logits of full colour.
        Without the last, the maps of this report's faults set the scale of all of them.
    progress : bool
        Show a progress bar if it takes longer than 2 s.

    Raises
    ------
    CamvibError
        `out` is a folder.
    """
    if out.is_dir():
        raise CamvibError(f"{out} is a folder", "Name the report's file, e.g. report.html inside it")
    given = sorted(cases, key=lambda case: VERDICTS.index(case[0].verdict))
    model = model or {}
    chosen = model.get("map_scale_logits")
    scale = float(str(chosen)) if chosen else _scale(given)
    listed = [Case(n, diagnosis, evidence, scale) for n, (diagnosis, evidence) in enumerate(given, 1)]
    shown = tqdm(listed, desc="report", unit="recording", delay=2, disable=not progress)
    page = _page(title, listed, shown, model, scale)
    _replace(out, page)
    return out


def _scale(cases: Sequence[tuple[Diagnosis, Evidence | None]]) -> float:
    """Logits of full colour: that of the faults, so that many pale healthy maps do not stretch it."""
    faults = [e.contrast.values for d, e in cases if e and d.verdict == "fault"]
    return evidence_scale(faults or [e.contrast.values for _, e in cases if e])


def _page(
    title: str, cases: Sequence[Case], cards: Iterable[Case], model: dict[str, object], scale: float
) -> Iterator[str]:
    """Render the page piece by piece; `cards` are the same cases, drawn as they come."""
    diagnoses = [case.diagnosis for case in cases]
    script = (HERE / "report.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _environment().get_template("report.html").generate(
        title=title,
        cases=cases,
        cards=cards,
        verdicts=VERDICTS,
        counts=Counter(d.verdict for d in diagnoses),
        faults=Counter(d.label for d in diagnoses if d.verdict == "fault").most_common(),
        model=model,
        models=sorted({d.model for d in diagnoses if d.model}),
        digests=sorted({d.settings_digest for d in diagnoses if d.settings_digest}),
        scale=scale,
        with_changes=any(case.drawn_from is not None and case.drawn_from.change is not None for case in cases),
        said=SAID,
        signs=SIGNS,
        written=datetime.now().astimezone(),
        version=__version__,
        css=Markup((HERE / "report.css").read_text("utf-8")),  # our own file
        script=Markup(script),
        script_sha256=digest,
    )  # fmt: skip


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        human=words.human, percent=words.percent, part=words.part, signed=words.signed, odds=words.odds,
        rate=words.rate, place=words.place, evidence=words.evidence, unit=pretty_unit, power_unit=power_unit,
    )  # fmt: skip
    environment.globals["span"] = words.span
    return environment


def _replace(out: Path, pieces: Iterable[str]) -> None:
    """Write beside `out` first, so that a reader never meets half a page."""
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(pieces)
        Path(name).chmod(0o644)  # mkstemp's 0600 would hide the page from colleagues
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
