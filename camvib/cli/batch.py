"""Commands that diagnose: now, on a schedule, again with another model."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from camvib.cli.options import (
    DEFAULT_MODEL,
    ChannelOption,
    JsonOption,
    ModelOption,
    PlantOption,
    QuietOption,
    RateOption,
    ResampleOption,
    StoreOption,
    UnitOption,
    clear_errors,
    write_json,
)

if TYPE_CHECKING:
    from camvib.monitoring.batch import Batch
    from camvib.monitoring.request import BatchSettings

REFUSED = 3  # exit code where more was refused than --fail-above allows

AssetOption = Annotated[str, typer.Option(help="Asset of recordings that name none.")]
AssetFromOption = Annotated[
    str, typer.Option(help="What paths say, e.g. '{asset}/{date}.wav'; also {channel}, and {} for anything.")
]
NotifyOption = Annotated[
    list[str] | None,
    typer.Option(help="Tell of new cases: log:, smtp://host?to=…, https://…, mqtt://host/topic. May be repeated."),
]
FailOption = Annotated[
    float, typer.Option(min=0, max=1, help=f"Exit with {REFUSED} above this share of refusals among what is new.")
]
WorkersOption = Annotated[
    int | None, typer.Option(min=0, help="Processes that read files; by default one a processor.")
]
TimeOption = Annotated[float, typer.Option(min=0.1, help="Seconds that reading and checking one file may take.")]
MemoryOption = Annotated[int, typer.Option(min=64, help="MiB that reading one file may take.")]
SettleOption = Annotated[
    float, typer.Option(min=0, help="Leave files written to within so many seconds to the next run.")
]
ReportOption = Annotated[Path | None, typer.Option(help="Also write an HTML report.")]


def _settings(**values: object) -> BatchSettings:
    from camvib.monitoring.request import BatchSettings

    return BatchSettings.of({name: value for name, value in values.items() if value is not None})


def diagnose(
    paths: Annotated[
        list[str], typer.Argument(help="Recordings, folders of them, or URLs such as s3://bucket/folder.")
    ],
    model: ModelOption = DEFAULT_MODEL,
    store: StoreOption = None,
    report: ReportOption = None,
    plant: PlantOption = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    resample: ResampleOption = False,
    asset: AssetOption = "",
    asset_from: AssetFromOption = "",
    settle: SettleOption = 0.0,
    notify: NotifyOption = None,
    fail_above: FailOption = 1.0,
    workers: WorkersOption = None,
    time_limit: TimeOption = 120.0,
    memory_limit: MemoryOption = 2048,
    json_file: JsonOption = None,
    quiet: QuietOption = False,
) -> None:
    """Diagnose recordings: verdict, probabilities, and where the evidence is."""
    stop_on_sigterm()
    with clear_errors(json_file):
        from camvib.jobs import diagnose_paths
        from camvib.records import as_json

        settings = _settings(
            channel=channel, unit=unit, sampling_rate_hz=sampling_rate, allow_resample=resample, asset=asset,
            asset_from=asset_from, settle_s=settle, notify=notify, fail_above=fail_above, workers=workers,
            time_limit_s=time_limit, memory_limit_mib=memory_limit,
        )  # fmt: skip
        batch = diagnose_paths(paths, model, store, report=report, plant=plant, settings=settings, progress=not quiet)
        if json_file is not None:
            write_json([as_json(diagnosis) for diagnosis in batch.diagnoses], json_file)
        if str(json_file) != "-":
            _print_diagnoses(batch)
        if report:
            typer.echo(f"report {report}", err=str(json_file) == "-")
        _leave(batch, settings)


def backfill(
    since: Annotated[str, typer.Option(help="First time of recording, ISO 8601, e.g. 2026-01-01.")],
    model: ModelOption,
    until: Annotated[str, typer.Option(help="Before this time; by default up to now.")] = "",
    store: StoreOption = None,
    resample: ResampleOption = False,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Diagnose what the store knows of a time with another model, beside the verdicts that count."""
    stop_on_sigterm()
    with clear_errors():
        from camvib.jobs import backfill as again

        settings = _settings(allow_resample=resample, workers=workers)
        batch = again(since, until, model, store, settings=settings, progress=not quiet)
        _print_counts(batch)
        _leave(batch, settings)


def schedule(
    inbox: Annotated[str, typer.Option(help="Folder that recordings arrive in, or a URL.")],
    cron: Annotated[str, typer.Option(help="When to run, e.g. '0 * * * *'.")] = "0 * * * *",
    every: Annotated[float | None, typer.Option(help="Run every so many seconds instead.")] = None,
    model: ModelOption = DEFAULT_MODEL,
    store: StoreOption = None,
    report: Annotated[Path | None, typer.Option(help="HTML report to renew with each run.")] = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    resample: ResampleOption = False,
    asset: AssetOption = "",
    asset_from: AssetFromOption = "",
    settle: SettleOption = 10.0,
    notify: NotifyOption = None,
    fail_above: FailOption = 1.0,
    workers: WorkersOption = None,
    time_limit: TimeOption = 120.0,
    memory_limit: MemoryOption = 2048,
) -> None:
    """Diagnose an inbox on a schedule with the registry's champion, until Ctrl-C."""
    with clear_errors():
        from camvib.pipelines.schedule import schedule as serve

        settings = _settings(
            channel=channel, unit=unit, sampling_rate_hz=sampling_rate, allow_resample=resample, asset=asset,
            asset_from=asset_from, settle_s=settle, notify=notify, fail_above=fail_above, workers=workers,
            time_limit_s=time_limit, memory_limit_mib=memory_limit,
        )  # fmt: skip
        serve(
            cron,
            inbox,
            model,
            report=report.resolve() if report else None,
            store=store,
            every_s=every,
            settings=settings,
        )


def deploy(
    inbox: Annotated[str, typer.Option(help="Folder that recordings arrive in, or a URL.")],
    cron: Annotated[str, typer.Option(help="When to run, in UTC.")] = "0 * * * *",
    name: Annotated[str, typer.Option(help="Name of the deployment.")] = "inbox",
    pool: Annotated[str, typer.Option(help="Work pool of the server; made if it is not there.")] = "camvib",
    model: ModelOption = DEFAULT_MODEL,
    store: StoreOption = None,
    report: Annotated[Path | None, typer.Option(help="HTML report to renew with each run.")] = None,
    channel: ChannelOption = None,
    unit: UnitOption = None,
    sampling_rate: RateOption = None,
    resample: ResampleOption = False,
    asset: AssetOption = "",
    asset_from: AssetFromOption = "",
    settle: SettleOption = 10.0,
    notify: NotifyOption = None,
    fail_above: FailOption = 1.0,
) -> None:
    """Put the schedule on the Prefect server that PREFECT_API_URL names, with what marks dead runs as crashed."""
    with clear_errors():
        from camvib.pipelines.deploy import deploy as put

        settings = _settings(
            channel=channel, unit=unit, sampling_rate_hz=sampling_rate, allow_resample=resample, asset=asset,
            asset_from=asset_from, settle_s=settle, notify=notify, fail_above=fail_above,
        )  # fmt: skip
        put(inbox, cron, name=name, pool=pool, model=model, report=report, store=store, settings=settings)
        typer.echo(f"deployed camvib-diagnose/{name}; run it with: prefect worker start --pool {pool}")


def stop_on_sigterm() -> None:
    """End as on Ctrl-C when a service manager says so: claims are given back, workers ended."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def _print_diagnoses(batch: Batch, most: int = 40) -> None:
    shown = list(batch.store.diagnoses_of(batch.files[:most]))[:most]
    for diagnosis in shown:
        label = diagnosis.label if diagnosis.verdict in ("fault", "unknown") else ""
        chance = diagnosis.probabilities.get(diagnosis.label)
        number = f"{chance:.2f}" if chance is not None else ""
        where = f"{diagnosis.reason}. {diagnosis.remedy}" if diagnosis.verdict == "refused" else ""
        if diagnosis.regions and diagnosis.verdict == "fault":
            top = diagnosis.regions[0]
            where = f"{top.start_s:.2f}–{top.end_s:.2f} s, {top.low_hz:.0f}–{top.high_hz:.0f} Hz {top.name}"
        name = diagnosis.recording.rpartition("/")[2]
        typer.echo(f"{diagnosis.verdict:8} {label:14} {number:5} {diagnosis.asset:12} {name}  {where}")
    if (more := sum(batch.counts.values()) - len(shown)) > 0:
        typer.echo(f"… and {more} more")
    _print_counts(batch)


def _print_counts(batch: Batch) -> None:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(batch.counts.items()))
    typer.echo(f"{counts or 'nothing found'}; {batch.new} new")
    for case in batch.alarms:
        typer.echo(f"case {case.id}: {case.asset or '(no name)'}, {case.label}, {case.hits} of {case.of} recordings")
    for note in batch.notes:
        typer.secho(note, fg="yellow", err=True)
    if batch.unsettled:
        typer.secho(f"{batch.unsettled} files are still being written: the next run takes them", fg="yellow", err=True)


def _leave(batch: Batch, settings: BatchSettings) -> None:
    """Exit with what a scheduler can act on: 2 where a source is missing, 3 where too much was refused."""
    for _, error in batch.missing:
        typer.secho(f"camvib: {error.message}", fg="red", err=True)
        typer.secho(f"  → {error.remedy}", err=True)
    if batch.missing:
        raise typer.Exit(2)
    if settings.fails(batch.refused_share):
        typer.secho(f"camvib: {batch.refused_share:.0%} of the recordings were refused", fg="red", err=True)
        raise typer.Exit(REFUSED)
