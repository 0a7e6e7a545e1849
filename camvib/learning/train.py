"""A labelled folder → a run folder with a trained model and its figures on unseen groups.

Knows neither Prefect nor MLflow. Called again on the same folder with the same settings and data, it goes on where it
was stopped, or returns what is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.rigs import load_rig
from camvib.errors import LabelsError, SplitError
from camvib.images.baseline import MIN_RECORDINGS, Baseline
from camvib.learning.candidates import FEW_GROUPS, candidates
from camvib.learning.choice import Compared, Fold, WindowCache, compare, fit_voters, standard_error, voters
from camvib.learning.data import TrainingData, load_training_data
from camvib.learning.drawings import write_drawings
from camvib.learning.fits import Fitted
from camvib.learning.healthy_pairs import HealthyPairs
from camvib.learning.loop import OnEpoch
from camvib.learning.run_folder import (
    CHECKPOINTS,
    COMPARISON,
    METRICS,
    History,
    TrainingResult,
    describe_run,
    fingerprint_of,
    finished,
    leave_out,
)
from camvib.learning.scores import classification_figures, trust_figures
from camvib.learning.splits import Plan, Split, grouped_folds, plan_splits
from camvib.learning.trivial import trivial_figures
from camvib.learning.windows import Rows, Windows, recording_means, window_starts
from camvib.model import calibration
from camvib.model.committee import Committee
from camvib.model.folder import save_model
from camvib.model.model import Model
from camvib.recordings.quality import InputSpec
from camvib.records import Declared
from camvib.settings import Settings

FEW_RECORDINGS = 200  # below it no group is spared for validation
NEARLY_PERFECT = 0.95  # where trivial classifiers are perfect as well, a tie is no failure
_INNER_FOLDS = 2
_MOST_FIGURE_WINDOWS = 64  # of one recording


def train(
    folder: str | Path,
    out: str | Path,
    settings: Settings = Settings(),
    *,
    declared: Declared = Declared(),
    network: str | None = None,
    rig: str | None = None,
    resume: bool = True,
    on_epoch: OnEpoch | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train on a labelled folder and measure on groups held out of it.

    Images and networks that fit the data are compared within the training groups alone; those that chance cannot tell
    apart vote as one model. The figures are of groups that took no part in it.

    Parameters
    ----------
    folder : str or Path
        Holds ``labels.csv`` and the files it names.
    out : str or Path
        The run folder to write.
    settings : Settings
    declared : Declared
        For files that do not say it themselves.
    network : str, optional
        Keep to the candidates of this network; by default all are compared.
    rig : str, optional
        Rig file, or the name of one; by default ``rig.toml`` in `folder` if there is one.
    resume : bool
        Go on where a training of the same settings and data was stopped in `out`.
    on_epoch : callable, optional
        Called with the epoch's number and its metrics.
    progress : bool
        Show progress bars.

    Raises
    ------
    LabelsError, SplitError, ReadError, SettingsError
    """
    folder, out = Path(folder), Path(out)
    multilabel = settings.model.head == "sigmoid"
    data = load_training_data(
        folder,
        declared,
        multilabel=multilabel,
        healthy=settings.diagnosis.healthy,
        progress=progress,
    )
    if rig is None and (folder / "rig.toml").is_file():
        rig = str(folder / "rig.toml")
    fingerprint = fingerprint_of(data, settings, network, rig, declared.group_column)
    if resume and (done := finished(out, fingerprint)):
        return done
    plan = _plan(data, settings)
    describe_run(out, data, settings, plan)
    job = _Job(data, settings, network, rig, out, fingerprint, WindowCache(data, progress), progress)
    if not resume:
        job.forget()
    judged = [job.judge(split, number) for number, split in enumerate(plan.folds)] if plan.crossed else []
    chosen, fitted = job.fit(plan.final, on_epoch)
    model = job.model(chosen, fitted, plan.final)
    if not plan.crossed:
        judged = [job.test(model, fitted, plan.final)] if plan.folds else [_Judged.within(chosen)]
    return _conclude(job, model, chosen, plan, judged)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Logits of recordings that a training never saw, and what it had seen."""

    train: Rows
    recordings: Rows
    logits: NDArray[np.floating]

    @classmethod
    def within(cls, chosen: _Choice) -> _Judged:
        """Of the comparison itself: optimistic by the choice, and said to be so."""
        best = chosen[0]
        logits = np.mean([one.logits for one in chosen.voting], axis=0)
        return cls(np.array([], np.int64), best.recordings, logits)


@dataclass(frozen=True, eq=False)
class _Job:
    """One training: what its steps have in common."""

    data: TrainingData
    settings: Settings
    network: str | None
    rig: str | None
    out: Path
    fingerprint: str
    cache: WindowCache
    progress: bool

    @property
    def checkpoints(self) -> Path:
        return self.out / CHECKPOINTS / self.fingerprint

    def forget(self) -> None:
        """Begin anew: no checkpoint and no comparison of before counts."""
        (self.checkpoints / COMPARISON).unlink(missing_ok=True)
        for checkpoint in self.checkpoints.rglob("*.ckpt"):
            checkpoint.unlink()

    def compare(self, split: Split) -> list[Compared]:
        """Compare candidates within a training side; where nothing can be held out the first is taken untried."""
        tried = candidates(self.data, self.settings, self.network)
        folds = self.folds_within(split)
        found: list[Compared] = []
        if folds and (len(tried) > 1 or not len(split.validation)):
            found = compare(
                tried,
                self.data,
                folds,
                self.cache,
                minutes=self.settings.training.minutes,
                memory=self.checkpoints / COMPARISON,
                progress=self.progress,
            )
        none = np.array([], np.int64)
        classes = len(self.data.classes)
        return found or [Compared(self.cache.settled(tried[0]), none, np.zeros((0, classes)), float("nan"))]

    def folds_within(self, split: Split) -> list[Fold]:
        """Groups to hold out within a training side."""
        if len(split.validation):
            return [(split.train, split.validation)]
        for groups in (self.data.groups, [entry.group for entry in self.data.entries]):
            labels = [self.data.labels[i] for i in split.train]
            try:
                folds = grouped_folds(labels, [groups[i] for i in split.train], most=_INNER_FOLDS)
            except SplitError:
                continue
            return [(split.train[kept], split.train[held]) for kept, held in folds]
        return []

    def fit(self, split: Split, on_epoch: OnEpoch | None = None) -> tuple[_Choice, list[tuple[Fitted, Windows]]]:
        """Choose, then fit what was chosen on the whole training side."""
        compared = self.compare(split)
        voting = voters(compared) if len(compared[0].recordings) else compared
        history = History(self.out, on_epoch)
        fitted = fit_voters(
            voting, self.data, split.train, split.validation, self.cache, on_epoch=history, checkpoints=self.checkpoints
        )
        return _Choice(tuple(compared), tuple(voting)), fitted

    def judge(self, split: Split, number: int) -> _Judged:
        """Choose and fit on one fold's training side, and look at its other side."""
        compared = self.compare(split)
        voting = voters(compared) if len(compared[0].recordings) else compared
        logits = []
        for one in voting:
            (fitted, windows) = fit_voters([one], self.data, split.train, split.validation, self.cache)[0]
            rows = windows.rows(split.test)
            temperature = _temperature(one, self.data)
            logits.append(recording_means(fitted.answers(rows).logits, windows.entry[rows])[1] / temperature)
        return _Judged(split.train, np.sort(split.test), np.mean(logits, axis=0))

    def model(self, choice: _Choice, fitted: list[tuple[Fitted, Windows]], split: Split) -> Model:
        """Put the voters together, and calibrate them on groups that they were not fitted on."""
        data, first = self.data, fitted[0][0].diagnoser
        temperatures = [_temperature(one, data) for one in choice.voting]
        diagnoser = first if len(fitted) == 1 else Committee([one.diagnoser for one, _ in fitted], temperatures).eval()
        named = load_rig(self.rig, data.sampling_rate_hz / 2) if self.rig else None
        # What is normal for the sensor is learnt where the network is: never from the test groups.
        seen = [data.recordings[i] for i in np.concatenate([split.train, split.validation])]
        spec = InputSpec.learn(seen, first.settings.image.window_s or data.window_s)
        return Model(
            diagnoser,
            data.classes,
            data.healthy,
            spec,
            first.settings,
            _calibrated(choice, fitted, data, split, temperatures),
            modes=named.modes if named else (),
            mode_tolerance=named.tolerance if named else 0.08,
            shaft_hz=data.mean_shaft_hz if first.settings.image.at_shaft_speed else 0.0,
        )

    def test(self, model: Model, fitted: list[tuple[Fitted, Windows]], split: Split) -> _Judged:
        """Judge the test recordings as `camvib diagnose` would, each against a baseline that does not hold it."""
        if not len(split.test):
            raise SplitError("no test recording could be read", "See left_out in data.json for the reasons")
        pairs = self.pairs(model, fitted[0][1])
        recordings = np.sort([i for i in split.test if pairs is None or i not in pairs.alone])
        if not len(recordings):
            needed = f"Record each asset healthy {MIN_RECORDINGS + 1} times or more"
            raise SplitError("no test recording has enough other healthy ones of its asset", needed)
        baselines = {int(i): pairs.baseline(int(i)) for i in recordings} if pairs else {}
        logits = [_recording_logits(model, self.data, int(i), baselines.get(int(i))) for i in recordings]
        return _Judged(split.train, recordings, np.stack(logits))

    def pairs(self, model: Model, windows: Windows) -> HealthyPairs | None:
        """What recordings are compared with, for a model that does so.

        Healthy recordings, as in use; where not one asset has enough of them, the twins that it was trained with.
        """
        if not model.needs_baseline:
            return None
        try:
            return HealthyPairs.of(self.data, windows, model.settings.with_(twin={"source": "none"}))
        except LabelsError:
            return HealthyPairs.of(self.data, windows, model.settings)


@dataclass(frozen=True, eq=False)
class _Choice:
    compared: tuple[Compared, ...]
    voting: tuple[Compared, ...]

    def __getitem__(self, number: int) -> Compared:
        return self.voting[number]


def _plan(data: TrainingData, settings: Settings) -> Plan:
    training = settings.training
    few = data.fewest_groups < FEW_GROUPS or len(data) < FEW_RECORDINGS
    # A network that is named by hand is fitted as its settings say, validation groups and all.
    named = settings.model.name != "auto" and training.patience is not None
    return plan_splits(
        data.labels,
        data.groups,
        few=few and not named,
        test_fraction=training.test_fraction,
        validation_fraction=training.validation_fraction,
        seed=training.seed,
    )


def _recording_logits(model: Model, data: TrainingData, i: int, baseline: Baseline | None) -> NDArray[np.floating]:
    samples = data.recordings[i].samples
    starts = window_starts(len(samples), model.n, 0.0, _MOST_FIGURE_WINDOWS)
    cut = np.stack([np.asarray(samples[start : start + model.n], np.float32) for start in starts])
    predicted = model.predict(cut, baseline, speed=float(data.speeds[i]))
    return predicted.logits.mean(axis=0, dtype=np.float64)


def _temperature(one: Compared, data: TrainingData) -> float:
    """Of one candidate, on groups that it was not fitted on; 1 where there were none."""
    if not len(one.recordings) or one.candidate.settings.model.head == "sigmoid":
        return 1.0
    return calibration.fit_temperature(one.logits, data.targets[one.recordings].argmax(axis=1))


def _calibrated(
    choice: _Choice,
    fitted: list[tuple[Fitted, Windows]],
    data: TrainingData,
    split: Split,
    temperatures: list[float],
) -> calibration.Calibration:
    """Temperature of the vote, and the distance beyond which a recording is unlike any known."""
    multilabel = choice[0].candidate.settings.model.head == "sigmoid"
    first, windows = fitted[0]  # a committee's embedding is its first member's
    rows = windows.rows(np.concatenate([split.train, split.validation]))
    entry, embedding = windows.entry[rows], first.answers(rows).embedding
    held = np.isin(entry, split.validation)
    known = calibration.known_classes(embedding[~held], data.label_index[entry[~held]])
    far = known.distance(embedding[held]) if held.any() else _left_out_distances(embedding, data, entry)
    limit = calibration.unknown_limit(far)
    single = len(fitted) == 1
    logits = np.mean(
        [c.logits / (1.0 if single else t) for c, t in zip(choice.voting, temperatures, strict=True)], axis=0
    )
    recordings = choice[0].recordings
    if not len(recordings) and held.any():  # nothing was compared: the validation groups tell
        rows = windows.rows(split.validation)
        recordings, logits = recording_means(first.answers(rows).logits, windows.entry[rows])
    temperature, margin = 1.0, 0.0
    if not multilabel and len(recordings):
        temperature = calibration.fit_temperature(logits, data.targets[recordings].argmax(axis=1))
        # From groups that no candidate was fitted on; where groups are few, theirs differ too much to say.
        healthy = np.array([data.labels[i] == data.healthy for i in recordings])
        if held.any() and healthy.any():
            place = data.classes.index(data.healthy)
            scaled = logits[healthy] / temperature
            odds = np.delete(scaled, place, axis=1).max(axis=1) - scaled[:, place]
            margin = calibration.healthy_margin(odds, choice[0].candidate.settings.training.false_alarms)
    return replace(known, temperature=temperature, unknown_above=limit, healthy_margin=margin)


def _left_out_distances(embedding: NDArray[np.floating], data: TrainingData, entry: Rows) -> NDArray[np.floating]:
    """Distance of each group's windows to the classes as the other groups show them."""
    groups = np.asarray(data.groups)[entry]
    found = []
    for group in np.unique(groups):
        own = groups == group
        if own.all() or len(np.unique(data.label_index[entry[~own]])) < 2:
            continue
        known = calibration.known_classes(embedding[~own], data.label_index[entry[~own]])
        found.append(known.distance(embedding[own]))
    if not found:
        return calibration.known_classes(embedding, data.label_index[entry]).distance(embedding)
    return np.concatenate(found)


def _conclude(job: _Job, model: Model, choice: _Choice, plan: Plan, judged: list[_Judged]) -> TrainingResult:
    """Put the figures together, and write model, metrics and drawings."""
    data, settings = job.data, job.settings
    recordings = np.concatenate([one.recordings for one in judged])
    logits = np.concatenate([one.logits for one in judged])
    figures = classification_figures(
        [data.labels[i] for i in recordings], model.decision(logits), data.classes, multilabel=model.is_multilabel
    )
    folds = [(one.train, one.recordings) for one in judged if len(one.train)] or job.folds_within(plan.final)
    trivial = trivial_figures(data, folds) if folds and not model.is_multilabel else {}
    best = max(trivial.values(), default=0.0)
    groups = np.asarray(data.groups)
    held = sorted({str(groups[i]) for i in recordings}) if plan.folds else []
    first = choice[0].candidate
    pairs = job.pairs(model, job.cache(first)) if model.needs_baseline else None
    alone = [{"file": data.files[i], "reason": pairs.why_alone(i)} for i in sorted(pairs.alone)] if pairs else []
    metrics = {
        **figures,
        "classes": list(data.classes),
        "train_groups": sorted(set(groups[plan.final.train])),
        "validation_groups": sorted(set(groups[plan.final.validation])),
        "test_groups": held,
        "test_recordings": len(recordings),
        "measured_on": _measured_on(plan) if len(recordings) else "nothing: no label has a group to spare",
        "network": " + ".join(dict.fromkeys(one.candidate.network for one in choice.voting)),
        "image": first.image,
        "compared": [one.describe() for one in choice.compared if len(one.recordings)],
        "voting": len(choice.voting),
        "trivial": {name: round(value, 4) for name, value in trivial.items()},
        "learned": bool(figures["macro_f1"] > best or figures["macro_f1"] >= NEARLY_PERFECT),
        "standard_error": standard_error(figures["macro_f1"], len(recordings)),
        "left_out": len(data.left_out) + len(alone),
        "data_digest": data.digest,
        "settings_digest": settings.digest(),
        "seed": settings.training.seed,
        "fingerprint": job.fingerprint,
    }
    kept = (
        "accuracy", "macro_f1", "test_recordings", "measured_on", "network", "image", "compared", "trivial", "learned",
        "data_digest", "seed",
    )  # fmt: skip
    card = {name: metrics[name] for name in kept}
    card["test_groups"], card["train_groups"] = len(held), len(set(groups[plan.final.train]))
    if len(recordings) and not model.is_multilabel:
        chances = np.stack([model.probabilities(row) for row in logits])
        card.update(trust_figures([data.labels[i] for i in recordings], chances, data.classes, model.healthy))
    model.card.update({**data.notes, **card})
    save_model(model, job.out / "model")
    shown = plan.final.test if len(plan.final.test) else recordings
    baselines = {i: pairs.baseline(i) for i in range(len(data)) if i not in pairs.alone} if pairs else {}
    write_drawings(model, data, shown, baselines, figures, job.out)
    leave_out(job.out, alone)
    (job.out / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
    return TrainingResult.of(job.out, metrics)


def _measured_on(plan: Plan) -> str:
    if plan.crossed:
        return "every group held out in turn; the model is then trained on all"
    return "groups held out" if plan.folds else "groups within the training ones: optimistic by the choice"
