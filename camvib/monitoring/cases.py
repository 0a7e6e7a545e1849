"""When recordings become a case, and what people may do with one: a state machine without memory, files or clock.

A single verdict is often wrong; k of the last n that agree seldom are. So a case opens when `k` of the last `n`
recordings of an asset speak for one family of faults, over a span of at least `delay_s`. Thresholds differ by direction
(hysteresis), and a case that nobody has seen does not end by itself (latch), as ISA-18.2 has it for alarms.

::

    (none) ──k of n──▶ open ──acknowledge──▶ acknowledged ──clear_after without──▶ closed ──reopen──▶ open
                        ▲ └────snooze────▶ snoozed ──time is up, still k of n──▶ open
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from camvib.errors import SettingsError, StoreError
from camvib.records import Case, CaseEvent, CaseEventKind, CaseState, Diagnosis

UNKNOWN = "unknown"
UNKNOWN_PROBABILITY = 0.5  # of a change that no known fault explains: no probability was measured for it
OPEN: tuple[CaseState, ...] = ("open", "acknowledged", "snoozed")
_MAY: dict[CaseEventKind, tuple[CaseState, ...]] = {
    "acknowledged": ("open", "snoozed"),
    "snoozed": ("open", "acknowledged", "snoozed"),
    "closed": OPEN,
    "reopened": ("closed",),
}
_BECOMES: dict[CaseEventKind, CaseState] = {
    "acknowledged": "acknowledged",
    "snoozed": "snoozed",
    "closed": "closed",
    "reopened": "open",
}


@dataclass(frozen=True)
class CasePolicy:
    """When to open a case and when to end it.

    Attributes
    ----------
    k, n : int
        A case opens when k of the last n recordings speak for it.
    alert_probability, clear_probability : float
        A recording speaks for a family from the first on, and goes on doing so, after one that did, down to the second.
    delay_s : float
        The recordings that speak for it must span so long.
    clear_after : int
        So many recordings in a row that do not speak for it end a case.
    latch : bool
        Only a case that a person has acknowledged ends by itself.
    families : mapping of str to str
        Labels that are one family of faults, by label; a label that is not named is its own family.
    criticality : mapping of str to float
        Of assets; 1 where nothing is said.
    """

    k: int = 2
    n: int = 3
    alert_probability: float = 0.6
    clear_probability: float = 0.4
    delay_s: float = 0.0
    clear_after: int = 6
    latch: bool = True
    families: Mapping[str, str] = field(default_factory=dict)
    criticality: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.n or self.clear_after < 1:
            raise SettingsError(
                f"{self.k} of {self.n} recordings, cleared after {self.clear_after}", "Give 1 ≤ k ≤ n, and 1 or more"
            )
        if not 0 <= self.clear_probability <= self.alert_probability <= 1:
            raise SettingsError(
                f"probabilities {self.clear_probability} to clear and {self.alert_probability} to alert",
                "The first must not lie above the second, both within 0 to 1",
            )


class Mark(NamedTuple):
    """What one recording says of one family of faults.

    Attributes
    ----------
    at : str
        ISO 8601 in UTC.
    probability : float
        Of the family.
    label : str
        Its likeliest fault.
    recording_id : str
    """

    at: str
    probability: float
    label: str
    recording_id: str


@dataclass(frozen=True)
class Observation:
    """All that was recorded at an asset at one time: its channels count as one."""

    at: str
    marks: Mapping[str, Mark]

    def of(self, family: str) -> Mark:
        """What it says of a family: nothing is said where it is not named."""
        return self.marks.get(family, Mark(self.at, 0.0, "", ""))


def marks_of(diagnosis: Diagnosis, at: str, policy: CasePolicy, healthy: str = "healthy") -> dict[str, Mark] | None:
    """What a verdict says of the families of faults; None where it is refused and says nothing.

    Of a change that no known fault explains the classes' probabilities are not believed.
    """
    if diagnosis.verdict == "refused":
        return None
    if diagnosis.verdict == "unknown":
        chance = max(UNKNOWN_PROBABILITY, policy.alert_probability)
        return {UNKNOWN: Mark(at, chance, UNKNOWN, diagnosis.recording_id)}
    reference = diagnosis.reference or healthy
    found: dict[str, Mark] = {}
    for label, chance in sorted(diagnosis.probabilities.items(), key=lambda item: item[1]):
        if label in (reference, healthy) or (diagnosis.verdict == "healthy" and label == diagnosis.label):
            continue
        family = policy.families.get(label, label)
        before = found[family].probability if family in found else 0.0
        found[family] = Mark(at, min(1.0, before + chance), label, diagnosis.recording_id)
    return found


def joined(observations: Sequence[tuple[str, Mapping[str, Mark]]]) -> list[Observation]:
    """Join what was recorded at the same time, strongest first; in the order of time."""
    at_once: dict[str, dict[str, Mark]] = {}
    for at, marks in observations:
        mine = at_once.setdefault(at, {})
        for family, mark in marks.items():
            if family not in mine or mark.probability > mine[family].probability:
                mine[family] = mark
    return [Observation(at, at_once[at]) for at in sorted(at_once)]


def step(case: Case | None, asset: str, family: str, seen: Sequence[Observation], policy: CasePolicy) -> Case | None:
    """Look at the newest observation of an asset, with those before it, and say how the case stands.

    Parameters
    ----------
    case : Case or None
        The family's newest case, closed or not.
    asset, family : str
    seen : sequence of Observation
        In the order of time; the newest is the last. At least `policy.n` of them where there are as many.
    policy : CasePolicy

    Returns
    -------
    Case or None
        With more events than before where something happened; None where there never was a case.
    """
    if not seen:
        return case
    marks, speaks = _speaking(case, family, seen, policy)
    window = [mark for mark, does in zip(marks[-policy.n :], speaks[-policy.n :], strict=True) if does]
    alarm = len(window) >= policy.k and _seconds(window[0].at, window[-1].at) >= policy.delay_s
    if case is None or case.state == "closed":
        return _opened(asset, family, window, policy, at=seen[-1].at) if alarm else case
    case = _updated(case, window, policy, at=seen[-1].at) if seen[-1].at > case.updated_at else case
    if case.state == "snoozed" and alarm and seen[-1].at >= case.snoozed_until:
        return _with_event(replace(case, state="open", snoozed_until=""), CaseEvent(seen[-1].at, "woken"))
    clear = len(speaks) >= policy.clear_after and not any(speaks[-policy.clear_after :])
    if clear and (case.state == "acknowledged" or not policy.latch):
        note = f"{policy.clear_after} recordings in a row without it"
        return _with_event(replace(case, state="closed"), CaseEvent(seen[-1].at, "cleared", note=note))
    return case


def act(case: Case, kind: CaseEventKind, who: str, at: str, *, note: str = "", until: str = "") -> Case:
    """Do what a person decided.

    Parameters
    ----------
    case : Case
    kind : str
        ``acknowledged``, ``snoozed`` (with `until`), ``closed`` or ``reopened``.
    who : str
    at, until : str
        ISO 8601 in UTC.
    note : str

    Raises
    ------
    StoreError
        The case is not in a state that allows it, nobody is named, or a snooze has no end.
    """
    if kind not in _MAY:
        raise StoreError(f"{kind!r} is nothing that a person does with a case", f"Choose one of {', '.join(_MAY)}")
    if not who.strip():
        raise StoreError(f"case {case.id}: nobody is named", "Say who decided it")
    if case.state not in _MAY[kind]:
        raise StoreError(
            f"case {case.id} ({case.asset}, {case.family}) is {case.state}: it cannot be {kind}",
            f"A case can be {kind} when it is {' or '.join(_MAY[kind])}",
        )
    if kind == "snoozed" and until <= at:
        raise StoreError(
            f"case {case.id}: snoozed until {until or 'nothing'}, which is not after {at}", "Name a later time"
        )
    changed = replace(case, state=_BECOMES[kind], snoozed_until=until if kind == "snoozed" else "")
    return _with_event(changed, CaseEvent(at, kind, who, note))


def severity(probability: float, hits: int, of: int, criticality: float) -> float:
    """Fault probability × persistence × criticality of the asset."""
    return probability * (hits / of if of else 0.0) * criticality


def _speaking(
    case: Case | None, family: str, seen: Sequence[Observation], policy: CasePolicy
) -> tuple[list[Mark], list[bool]]:
    """What each observation says, and whether it speaks for the family; what a closed case knew counts no more."""
    after = case.updated_at if case is not None and case.state == "closed" else ""
    marks = [one.of(family) for one in seen if one.at > after]
    speaks: list[bool] = []
    for mark in marks:
        threshold = policy.clear_probability if speaks and speaks[-1] else policy.alert_probability
        speaks.append(0 < mark.probability >= threshold and bool(mark.recording_id))
    return marks, speaks


def _opened(asset: str, family: str, window: Sequence[Mark], policy: CasePolicy, at: str) -> Case:
    blank = Case(asset, family, "", "open", window[0].at, at, "", 0, policy.n, 0.0)
    blank = replace(blank, criticality=policy.criticality.get(asset, 1.0))
    case = _updated(blank, window, policy, at)
    return _with_event(case, CaseEvent(at, "opened", note=f"{case.hits} of the last {policy.n} recordings"))


def _updated(case: Case, window: Sequence[Mark], policy: CasePolicy, at: str) -> Case:
    if not window:
        return replace(case, updated_at=at, hits=0, of=policy.n, severity=0.0, recording_ids=())
    probability = sum(mark.probability for mark in window) / len(window)
    return replace(
        case,
        label=window[-1].label,
        updated_at=at,
        hits=len(window),
        of=policy.n,
        probability=probability,
        severity=severity(probability, len(window), policy.n, case.criticality),
        recording_ids=tuple(mark.recording_id for mark in window),
    )


def _with_event(case: Case, event: CaseEvent) -> Case:
    return replace(case, events=(*case.events, event))


def _seconds(start: str, end: str) -> float:
    """Span between two times; times that cannot be told are no time apart."""
    if not start or not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
