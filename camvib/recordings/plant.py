"""The plant file: what a plant knows of its machines, and what it does about a fault.

Names, areas, criticality, actions, deadlines and limits come from here and never from a model.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from camvib.errors import SettingsError

HELP = "docs/how-to/plant-file.md describes the keys; 'camvib plant init' writes a draft"
Criticality = Literal["A", "B", "C"]
Class20816 = Literal["group 1 rigid", "group 1 flexible", "group 2 rigid", "group 2 flexible"]
# ISO 20816-3:2022, annex A: borders of zones A/B, B/C and C/D, mm/s rms of velocity. Only for machines it covers.
ZONES_20816_3: dict[Class20816, tuple[float, float, float]] = {
    "group 1 rigid": (2.3, 4.5, 7.1),
    "group 1 flexible": (3.5, 7.1, 11.0),
    "group 2 rigid": (1.4, 2.8, 4.5),
    "group 2 flexible": (2.3, 4.5, 7.1),
}
UNKNOWN = "unknown"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(_Table):
    """The user's own limit for the overall level.

    `rms` is in `unit`: mm/s of velocity, or m/s2 of acceleration. `source` says whose limit it is.
    """

    rms: float = Field(gt=0)
    unit: Literal["mm/s", "m/s2"] = "mm/s"
    source: str = ""


class Machine(_Table):
    """One asset. Its key in the file is the asset's name in the recordings."""

    tag: str = ""
    name: str = ""
    area: str = ""
    criticality: Criticality = "B"
    sensor: str = ""
    due_days: float | None = Field(None, gt=0)
    rig: str | None = None
    limit: Limit | None = None
    iso_20816_3: Class20816 | None = None
    stop: date | None = None


class Action(_Table):
    """What to do about one condition. Its key in the file is the model's label, or ``unknown``.

    `do` is the one line of the list, `checklist` its steps. `within_days` sets the deadline; `at_stop` puts it to the
    machine's next planned stop. `undone_by` completes 'would come back if …'; `also` names what else looks like it.
    """

    title: str = ""
    do: str = ""
    within_days: float | None = Field(None, ge=0)
    at_stop: bool = False
    checklist: tuple[str, ...] = ()
    undone_by: str = ""
    also: tuple[str, ...] = ()


class Alarm(_Table):
    """When a case is to be acted on.

    A case is act when its newest recordings have at least `act_probability` and changed by `act_times_band` times the
    machine's healthy band; it is watch otherwise, and again once the change falls below `watch_times_band`.
    """

    act_probability: float = Field(0.8, gt=0, le=1)
    watch_times_band: float = Field(1.0, gt=0)
    act_times_band: float = Field(1.5, gt=0)


class Plant(_Table):
    """The whole file. Machines and actions that it does not name get defaults."""

    name: str = "Plant"
    timezone: str | None = None
    due_days: float | None = Field(None, gt=0)
    alarm: Alarm = Alarm()
    deadline_days: dict[Criticality, float] = {"A": 2.0, "B": 7.0, "C": 14.0}
    machines: dict[str, Machine] = {}
    actions: dict[str, Action] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            return value and ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no time zone {value!r}; a name such as Europe/Berlin is asked for") from error

    @property
    def zone(self) -> tzinfo:
        """Time zone of the plant; without one, that of this computer."""
        local = datetime.now().astimezone().tzinfo
        assert local is not None
        return ZoneInfo(self.timezone) if self.timezone else local

    def machine(self, asset: str) -> Machine:
        """Look an asset up; one that the file does not name has no area and criticality B."""
        return self.machines.get(asset, Machine())

    def action(self, label: str) -> Action:
        """Look a label up. Of joint faults (``crack+impact``) the first that is named counts."""
        for name in (label, *label.split("+")):
            if name in self.actions:
                return self.actions[name]
        return Action()

    def due(self, asset: str) -> timedelta | None:
        """After how long without a recording a machine counts as silent; None: never."""
        days = self.machine(asset).due_days or self.due_days
        return timedelta(days=days) if days else None

    def deadline(self, asset: str, label: str, since: date) -> tuple[date, bool]:
        """Day by which something is to be done, and whether that is a planned stop."""
        machine, action = self.machine(asset), self.action(label)
        if action.at_stop and machine.stop and machine.stop >= since:
            return machine.stop, True
        days = (
            action.within_days if action.within_days is not None else self.deadline_days.get(machine.criticality, 7.0)
        )
        return since + timedelta(days=days), False

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Read a plant file; None gives an empty plant.

        Raises
        ------
        SettingsError
            The file is missing, is no TOML, or has an unknown key or a value out of range.
        """
        if path is None:
            return cls()
        try:
            table = tomllib.loads(path.read_text("utf-8"))
            return cls.model_validate({**table.pop("plant", {}), **table})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise SettingsError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}", HELP) from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path}: {error}", HELP) from error


# What any maintenance engineer would begin with. A draft's text, to be replaced by the plant's own.
_FIRST_STEPS: dict[str, tuple[str, str]] = {
    "loose_clamp": ("Tighten the clamp, record again", "the clamp were tightened"),
    "crack": ("Inspect for a crack, do not raise the load", "the cracked part were replaced"),
    "impact": ("Look for what strikes the machine", "the contact were removed"),
    "tip_mass": ("Look for build-up or an added mass", "the added mass were taken off"),
    UNKNOWN: ("Ask: did speed, load or pipework change?", ""),
}


def draft(assets: Sequence[str], labels: Iterable[str], name: str = "My plant") -> str:
    """Write the text of a plant file to start from: every asset, and an action for every label."""
    lines = [
        "# Names, areas, criticality, actions, deadlines and limits of this plant. See docs/how-to/plant-file.md.",
        "[plant]",
        f"name = {_text(name)}",
        '# timezone = "Europe/Berlin"   # times on the page; without it, those of the computer that writes it',
        "due_days = 7                   # a machine without a recording for longer is shown as silent",
        "deadline_days = { A = 2, B = 7, C = 14 }   # by criticality, where an action sets no within_days",
        "",
    ]
    for label in (*dict.fromkeys(labels), UNKNOWN):
        do, undone_by = _FIRST_STEPS.get(label, (f"Check for {label.replace('_', ' ')}", ""))
        lines += [
            f"[actions.{_text(label)}]",
            f"title = {_text('Changed, no known fault' if label == UNKNOWN else label.replace('_', ' ').capitalize())}",
            f"do = {_text(do)}",
            *([f"undone_by = {_text(undone_by)}   # completes 'would come back if …'"] if undone_by else []),
            "# within_days = 3             # or: at_stop = true",
            'checklist = ["Look at it", "Record it again"]',
            "",
        ]
    for asset in assets:
        lines += [
            f"[machines.{_text(asset)}]",
            'name = ""',
            'area = ""',
            'criticality = "B"              # A, B or C',
            '# sensor = "drive end, radial"',
            '# limit = { rms = 7.1, unit = "mm/s", source = "works standard" }',
            "",
        ]
    return "\n".join(lines)


def _text(value: str) -> str:
    """Write a basic TOML string; JSON's escapes are among TOML's, lone surrogates are not."""
    return json.dumps(value.encode("utf-8", "replace").decode("utf-8"), ensure_ascii=False).replace("\x7f", "\\u007f")
