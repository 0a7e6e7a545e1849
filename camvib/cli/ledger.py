"""Commands on what is kept: evidence to prune or make again, cases to answer."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from camvib.cli.options import DEFAULT_MODEL, JsonOption, ModelOption, StoreOption, clear_errors, write_json

if TYPE_CHECKING:
    from camvib.records import Case, CaseEventKind

store_app = typer.Typer(help="Evidence in the store: prune what is old, make again what is lost.", no_args_is_help=True)
case_app = typer.Typer(help="Cases: list them, take them on, put them off, end them.", no_args_is_help=True)

_SPANS = {"h": "hours", "d": "days", "w": "weeks"}
WhoOption = Annotated[str, typer.Option("--who", envvar=["CAMVIB_USER", "USER"], help="Who decides it.")]
NoteOption = Annotated[str, typer.Option(help="What was found or done.")]
NumberArgument = Annotated[int, typer.Argument(help="Number of the case.")]


def span(text: str) -> timedelta:
    """Parse a span such as 90d, 12h or 8w.

    Raises
    ------
    SettingsError
        It is none.
    """
    from camvib.errors import SettingsError

    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text.strip()):
        return timedelta(**{_SPANS[match[2]]: float(match[1])})
    raise SettingsError(f"{text!r} is no span of time", "Give hours, days or weeks, e.g. 90d")


@store_app.command()
def prune(
    keep_evidence: Annotated[str, typer.Option(help="Keep the evidence of verdicts so young, e.g. 90d.")],
    store: StoreOption = None,
) -> None:
    """Remove the evidence files of old verdicts; the verdicts stay for ever."""
    with clear_errors():
        from camvib.jobs import open_store

        files, freed = open_store(store).prune(span(keep_evidence))
        typer.echo(f"{files} evidence files removed, {freed / 1e6:.1f} MB")


@store_app.command()
def repair(model: ModelOption = DEFAULT_MODEL, store: StoreOption = None) -> None:
    """Make evidence again that is missing or damaged, from the recordings and the model that gave the verdict."""
    with clear_errors():
        from camvib.jobs import repair_evidence

        made, failed = repair_evidence(model, store)
        for error in failed:
            typer.secho(f"camvib: {error}", fg="red", err=True)
        typer.echo(f"{made} evidence files made again, {len(failed)} could not be")
        if failed:
            raise typer.Exit(2)


@case_app.command("list")
def list_cases(
    store: StoreOption = None,
    asset: Annotated[str | None, typer.Option(help="Only this asset.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Closed ones too.")] = False,
    json_file: JsonOption = None,
) -> None:
    """List cases, the most severe first."""
    with clear_errors(json_file):
        from camvib.jobs import open_store

        cases = open_store(store).cases(asset=asset, closed=closed)
        write_json([asdict(case) for case in cases], json_file)
        if str(json_file) != "-":
            for case in cases:
                _print(case)
            typer.echo(f"{len(cases)} cases")


def _print(case: Case) -> None:
    typer.echo(
        f"{case.id:5} {case.state:12} severity {case.severity:.2f}  {case.asset or '(no name)':16} {case.label:14} "
        f"{case.hits} of {case.of} since {case.since[:16]}"
    )


def _act(number: int, kind: CaseEventKind, who: str, note: str, store: str | None, until: str = "") -> None:
    with clear_errors():
        from camvib.jobs import open_store

        _print(open_store(store).act(number, kind, who, note, until))


@case_app.command()
def acknowledge(number: NumberArgument, who: WhoOption, note: NoteOption = "", store: StoreOption = None) -> None:
    """Take a case on."""
    _act(number, "acknowledged", who, note, store)


@case_app.command()
def snooze(
    number: NumberArgument,
    who: WhoOption,
    until: Annotated[str, typer.Option(help="ISO 8601, e.g. 2026-03-01.")],
    note: NoteOption = "",
    store: StoreOption = None,
) -> None:
    """Hear nothing of a case until a time."""
    _act(number, "snoozed", who, note, store, until)


@case_app.command()
def close(number: NumberArgument, who: WhoOption, note: NoteOption = "", store: StoreOption = None) -> None:
    """End a case; what was recorded until now opens no new one."""
    _act(number, "closed", who, note, store)


@case_app.command()
def reopen(number: NumberArgument, who: WhoOption, note: NoteOption = "", store: StoreOption = None) -> None:
    """Open a closed case again."""
    _act(number, "reopened", who, note, store)
