"""Files → diagnoses in the ledger, each recording once: the one path that CLI and flows walk."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from tqdm import tqdm

from camvib.diagnosis.verdict import BASELINE_COMMAND
from camvib.errors import CamvibError
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.monitoring.cases import CasePolicy
from camvib.monitoring.claims import LEASE_S, Claims, Registered
from camvib.monitoring.clock import utc_text
from camvib.monitoring.discovery import Discovery, Listing, discover, seen_again
from camvib.monitoring.evidence_file import sweep
from camvib.monitoring.ledger import Store
from camvib.monitoring.line import Line
from camvib.monitoring.workers import Limits, Workers
from camvib.records import Case, Diagnosis

_LOOK_S = 0.25
READ = "camvib.monitoring.reading:read_file"
Progress = Callable[[int, int], None]  # recordings' files done, of how many


@dataclass(frozen=True)
class Options:
    """How a run diagnoses.

    Attributes
    ----------
    discovery : Discovery
        What is declared of the files, and which are taken.
    allow_resample : bool
        Bring recordings to the model's sampling rate instead of refusing them.
    workers : int or None
        Processes that read files; None takes one for each processor, 0 reads in this process and without limits.
    limits : Limits
        What one file may cost.
    current : bool
        The verdicts are the ones that count. False keeps them beside those that do (a backfill).
    cases : CasePolicy
        When to open a case.
    baseline_command : str
        What learns baselines for this model and store: the remedy where one is missing.
    lease_s : float
        After so long a process that was not heard of counts as dead.
    """

    discovery: Discovery = field(default_factory=Discovery)
    allow_resample: bool = False
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    current: bool = True
    cases: CasePolicy = field(default_factory=CasePolicy)
    baseline_command: str = BASELINE_COMMAND
    lease_s: float = LEASE_S


@dataclass(frozen=True)
class Batch:
    """What a run found.

    Attributes
    ----------
    store : Store
    files : sequence of int
        Numbers of the files that were found, in their order.
    fresh : mapping of (str, str) to int
        How many new diagnoses have which verdict and label.
    missing : tuple of (str, CamvibError)
        Sources that are not there or cannot be listed.
    unsettled : int
        Files that are still being written: the next run takes them.
    notes : tuple of str
        What was left out, or taken without being named.
    alarms : tuple of Case
        Cases that this run opened or woke.
    """

    store: Store
    files: Sequence[int]
    fresh: Counter[tuple[str, str]] = field(default_factory=Counter)
    missing: tuple[tuple[str, CamvibError], ...] = ()
    unsettled: int = 0
    notes: tuple[str, ...] = ()
    alarms: tuple[Case, ...] = ()

    @property
    def new(self) -> int:
        """How many diagnoses this run added."""
        return sum(self.fresh.values())

    @cached_property
    def diagnoses(self) -> list[Diagnosis]:
        """All diagnoses of the files, new and old, in the order of the files. Of a large run rather use `counts`."""
        return list(self.store.diagnoses_of(self.files))

    @cached_property
    def labels(self) -> dict[tuple[str, str], int]:
        """How many recordings have which verdict and label."""
        return self.store.verdicts_of(self.files)

    @property
    def counts(self) -> dict[str, int]:
        """Number of recordings by verdict."""
        found: Counter[str] = Counter()
        for (verdict, _), count in self.labels.items():
            found[verdict] += count
        return dict(found)

    @property
    def refused_share(self) -> float:
        """Share of refusals among the new recordings; where nothing is new, among all."""
        new = Counter({verdict: 0 for verdict, _ in self.fresh})
        for (verdict, _), count in self.fresh.items():
            new[verdict] += count
        counted = dict(new) or self.counts
        return counted.get("refused", 0) / max(1, sum(counted.values()))


def diagnose(
    sources: Sequence[str | Path],
    model: Model | Path,
    store: Store,
    options: Options | None = None,
    *,
    progress: bool = True,
    on_progress: Progress | None = None,
) -> Batch:
    """Diagnose every recording in files, folders and buckets that this model has not diagnosed yet.

    Any number of processes may do this at once with the same sources: they share the work.

    Parameters
    ----------
    sources : sequence of str or Path
        Files, folders with or without a ``labels.csv``, or URLs.
    model : Model or Path
        A model, or a folder that holds one.
    store : Store
        Done recordings are found there; new diagnoses go there in batches.
    options : Options, optional
    progress : bool
        Show a progress bar when it takes longer than 2 s.
    on_progress : callable, optional
        Told after each batch how many files are done, of how many that were not.

    Returns
    -------
    Batch
        A recording that cannot be read or judged is refused, with reason and remedy; the rest goes on. So is one
        without a healthy baseline of its asset, if the model compares with it.

    Raises
    ------
    CamvibError
        Nothing was found, and a source is missing.
    """
    options = options or Options()
    run = Run(model if isinstance(model, Model) else load_model(model), store, options)
    registered, listing = run.find(sources)
    if not registered.all and listing.missing and not listing.unsettled:
        raise listing.missing[0][1]
    bar = tqdm(total=len(registered.todo), desc="diagnose", unit="file", disable=not progress, delay=2)

    def tell(done: int, of: int) -> None:
        bar.update(done - bar.n)
        if on_progress is not None:
            on_progress(done, of)

    with run:
        try:
            fresh = run.work(registered.todo, tell)
        finally:
            bar.close()
    return run.batch(registered, listing, fresh)


class Run:
    """A model with its settings at work on a store. As a context, it ends its worker processes.

    Parameters
    ----------
    model : Model
    store : Store
    options : Options
    """

    def __init__(self, model: Model, store: Store, options: Options) -> None:
        self.model, self.store, self.options = model, store, options
        self.settings_digest = f"{model.settings.diagnosis.digest()}{'-resample' if options.allow_resample else ''}"
        job = f"{model.digest}-{self.settings_digest}{'' if options.current else '-beside'}"
        self.claims = Claims(store.database, job, options.lease_s)
        self.unsettled = 0
        self._workers: Workers | None = None
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def find(self, sources: Sequence[str | Path]) -> tuple[Registered, Listing]:
        """List what is there, and what of it is not done."""
        listing = Listing()
        sweep(self.store.folder)
        self.store.note_model(self.model.digest, "", {})
        if self.model.needs_baseline:
            self.claims.renew_stale(self.store.baseline_digests(self.model.image_digest))
        registered = self.claims.register(discover(sources, self.options.discovery, listing))
        return registered, listing

    def find_again(self, since: str, until: str) -> tuple[Registered, Listing]:
        """Take the files whose recordings the ledger knows from a time on and before another; ISO 8601."""
        listing = Listing()
        self.store.note_model(self.model.digest, "", {})
        known = self.claims.known_between(utc_text(since), utc_text(until))
        return self.claims.register(seen_again(known, listing)), listing

    def work(self, ids: Sequence[int], on_progress: Progress | None = None) -> Counter[tuple[str, str]]:
        """Diagnose those files that nobody else does; wait for the others, and take over from the dead.

        Returns
        -------
        Counter
            New diagnoses by verdict and label.
        """
        if not len(ids):
            return Counter()
        with self._one_at_a_time, Line(self.model, self.store, self.claims, self.options, self._started()) as line:
            rest = list(ids)
            while rest:
                before = line.finished
                line.run(rest, on_progress and (lambda done: on_progress(done, len(ids))))
                rest = [file for file in self.claims.left(rest) if file not in line.unsettled]
                if rest and line.finished == before:
                    time.sleep(_LOOK_S)  # others are at them
        if on_progress is not None:
            on_progress(len(ids) - len(line.unsettled), len(ids))
        self.unsettled += len(line.unsettled)
        return line.fresh

    def _started(self) -> Workers:
        if self._workers is None:
            count = len(os.sched_getaffinity(0)) if self.options.workers is None else self.options.workers
            self._workers = Workers(READ, count, self.options.limits)
        return self._workers

    def batch(self, registered: Registered, listing: Listing, fresh: Counter[tuple[str, str]]) -> Batch:
        """Let the cases see what is new, and sum up."""
        alarms = self.store.update_cases(self.options.cases) if self.options.current else []
        return Batch(
            self.store,
            registered.all,
            fresh,
            tuple(listing.missing),
            listing.unsettled + self.unsettled,
            tuple(f"{count} {what}" for what, count in listing.notes.items()),
            tuple(alarms),
        )
