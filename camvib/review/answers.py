"""What people say, on its way into the ledger: checked, kept once, conflicts named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast, get_args

from camvib.errors import CamvibError, StoreError
from camvib.monitoring.ledger import Store
from camvib.records import Answer, AnswerKind

FORMAT = 1
MOST_ITEMS = 5000
ACTS = ("acknowledged", "snoozed")
ACT_KEY = "act:"  # an act is kept as an answer too, so that one handed in twice is done once
VERDICTS = ("confirmed", "corrected", "nothing_found")
LENGTHS = {"key": 100, "author": 200, "label": 200, "text": 4000, "asset": 1000, "recording_id": 100, "until": 40}
CORNERS = ("start_s", "end_s", "low_hz", "high_hz")
REMEDY = "Save the answers again from the report page"


@dataclass(frozen=True)
class Act:
    """Something that a person does with a case."""

    kind: str
    until: str = ""


@dataclass(frozen=True)
class Conflict:
    """Two people, or one person twice, said different things of one case."""

    case_id: int
    asset: str
    first: Answer
    second: Answer


@dataclass(frozen=True)
class Taken:
    """What became of answers.

    Attributes
    ----------
    new, known : int
        Stored now; stored before.
    refused : tuple of (str, str)
        Key and reason of those that could not be taken.
    conflicts : tuple of Conflict
        Of the cases that these answers are on; all are kept.
    """

    new: int
    known: int
    refused: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[Conflict, ...] = ()


def import_file(store: Store, file: Path) -> Taken:
    """Take a file of answers that a report page saved; handed in again, it adds nothing.

    Raises
    ------
    CamvibError
        The file cannot be read, or is no file of answers.
    """
    try:
        table = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CamvibError(f"{file}: {error}", REMEDY) from error
    return take(store, items_of(table, str(file)))


def items_of(table: object, where: str) -> list[Any]:
    """Unwrap what a page saved or sent.

    Raises
    ------
    CamvibError
        It is something else.
    """
    if not isinstance(table, dict) or table.get("camvib_answers") != FORMAT or not isinstance(table.get("items"), list):
        raise CamvibError(f"{where}: no answers of a camvib report (camvib_answers {FORMAT} and items)", REMEDY)
    items: list[Any] = table["items"]
    if len(items) > MOST_ITEMS:
        raise CamvibError(f"{where}: {len(items)} answers, {MOST_ITEMS} at most", "Hand them in in parts")
    return items


def take(store: Store, items: Sequence[Any], *, at: datetime | None = None) -> Taken:
    """Check answers and add them to the ledger, each once; one that is wrong does not stop the others.

    Parameters
    ----------
    store : Store
    items : sequence
        As a page sends them.
    at : datetime, optional
        The time to write down instead of what the sender's clock says.
    """
    assets = {case.id: case.asset for case in store.cases(closed=True)}
    new, refused, touched = 0, [], set()
    for item in items:
        key = str(item.get("key", ""))[:100] if isinstance(item, Mapping) else ""
        try:
            answer, act = parse(item, at)
            if answer.case_id is not None and assets.get(answer.case_id) != answer.asset:
                raise StoreError(f"no case {answer.case_id} of {answer.asset!r}", "Reload the page")
            added = store.add_answers([answer])
            new += added
            if added and act and answer.case_id is not None:
                store.act(answer.case_id, act.kind, answer.author, answer.text, act.until)  # type: ignore[arg-type]
            if answer.case_id is not None:
                touched.add(answer.case_id)
        except CamvibError as error:
            refused.append((key, f"{error.message}. {error.remedy}".rstrip(". ")))
    conflicts = [c for case in sorted(touched) for c in conflicts_of(store.answers(case_id=case))]
    return Taken(new, len(items) - new - len(refused), tuple(refused), tuple(conflicts))


def conflicts_of(answers: Sequence[Answer]) -> list[Conflict]:
    """Name each pair of neighbours in time that differ in what they found."""
    found = sorted((a for a in answers if a.kind in VERDICTS and a.case_id is not None), key=lambda a: a.at)
    return [
        Conflict(one.case_id or 0, one.asset, one, two)
        for one, two in pairwise(found)
        if (one.kind, one.label) != (two.kind, two.label)
    ]


def parse(item: object, at: datetime | None = None) -> tuple[Answer, Act | None]:
    """Check one answer as a page sends it.

    Raises
    ------
    CamvibError
        Something is missing, of the wrong kind, too long or not finite.
    """
    if not isinstance(item, Mapping):
        raise CamvibError("an answer is not a table of values", REMEDY)
    text = {name: _text(item, name, most) for name, most in LENGTHS.items()}
    if not text["key"]:
        raise CamvibError("an answer has no key", REMEDY)
    kind = item.get("kind")
    if kind not in get_args(AnswerKind) and kind not in ACTS:
        raise CamvibError(f"an answer of kind {str(kind)[:40]!r}", REMEDY)
    case_id = item.get("case_id")
    if case_id is not None and (not isinstance(case_id, int) or isinstance(case_id, bool)):
        raise CamvibError(f"case {str(case_id)[:40]!r} is not a number", REMEDY)
    act = Act(str(kind), _time(text["until"]) if kind == "snoozed" else "") if kind in ACTS else None
    if act and case_id is None:
        raise CamvibError(f"{kind}, but of no case", REMEDY)
    if act and not text["author"].strip():
        raise CamvibError(f"{kind}, but by nobody", "Write your name under the buttons")
    when = at.astimezone(UTC).isoformat(timespec="seconds") if at else _time(str(item.get("at", "")))
    answer = Answer(
        key=f"{ACT_KEY}{text['key']}" if act else text["key"],
        kind="comment" if act else cast(AnswerKind, kind),
        author=text["author"],
        at=when,
        asset=text["asset"],
        recording_id=text["recording_id"],
        case_id=case_id,
        label=text["label"],
        region=_region(item.get("region")),
        text=text["text"],
    )
    return answer, act


def _text(item: Mapping[str, Any], name: str, most: int) -> str:
    value = item.get(name) or ""
    if not isinstance(value, str) or len(value) > most:
        raise CamvibError(f"{name} is no text of at most {most} characters", REMEDY)
    return value


def _time(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CamvibError(f"{text[:40]!r} is no time", "Give it as 2026-11-23 or 2026-11-23T06:00Z") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")


def _region(region: object) -> dict[str, float] | None:
    if region is None:
        return None
    if not isinstance(region, Mapping) or set(region) != set(CORNERS):
        raise CamvibError(f"a region without {', '.join(CORNERS)}", REMEDY)
    values = {name: region[name] for name in CORNERS}
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values.values()):
        raise CamvibError("a region whose corners are not finite numbers", REMEDY)
    if values["start_s"] > values["end_s"] or values["low_hz"] > values["high_hz"]:
        raise CamvibError("a region that ends before it begins", "Give the smaller value first")
    return {name: float(value) for name, value in values.items()}
