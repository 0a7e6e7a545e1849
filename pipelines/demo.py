"""The whole path on a simulated fleet: simulate → train → register → diagnose an inbox → report."""

from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import flow, task
from camvib.pipelines.diagnose import diagnose
from camvib.pipelines.train import train

from camvib.registry import versions
from camvib.settings import ImageSettings

INBOX_RECORDINGS = 40


@task(name="simulate")
def simulate(out: Path, recordings: int, seed: int) -> Path:
    """Write a labelled folder of simulated recordings."""
    from camvib.simulation.fleet import write_fleet

    return write_fleet(out, recordings, seed, twins=False)


@task(name="fill inbox")
def fill_inbox(out: Path, recordings: int, seed: int) -> Path:
    """Write an inbox of unseen specimens, with some recordings that are not fit to be judged."""
    from camvib.simulation.inbox import write_inbox

    return write_inbox(out, recordings, seed)


@task(name="draw spectrograms")
def draw_spectrograms(folder: Path, out: Path) -> int:
    """Write a PNG with axes for every recording that can be read."""
    from camvib.jobs import export_spectrograms

    return len(export_spectrograms(folder, out, ImageSettings())[0])


@flow(name="camvib-demo", log_prints=True)
def demo(
    out: Path,
    recordings: int = 800,
    seed: int = 0,
    inbox_recordings: int = INBOX_RECORDINGS,
    settings: Path | None = None,
) -> dict[str, Any]:
    """Train on one fleet and diagnose another, of specimens that the training never saw."""
    fleet = simulate(out / "fleet", recordings, seed)
    inbox = fill_inbox(out / "inbox", inbox_recordings, seed + 1)
    draw_spectrograms(inbox, out / "spectrograms")
    trained = train(fleet, out / "run", settings, options={"rig": "cantilever"})
    report = out / "report.html"
    # This demo's own version: another model may be the champion here.
    found = diagnose(inbox, f"models:/{versions.NAME}/{trained['version']}", report, out / "store.db")
    return {"training": trained, "diagnosis": found, "report": str(report)}


def run_demo(out: Path, recordings: int = 800, seed: int = 0, **options: Any) -> dict[str, Any]:
    """Run the flow with Prefect's embedded API and print what a person wants to know."""
    summary: dict[str, Any] = demo(out, recordings, seed, **options)
    trained, found = summary["training"], summary["diagnosis"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in found["verdicts"].items())
    print(
        f"\naccuracy {trained['accuracy']:.3f}, macro-F1 {trained['macro_f1']:.3f} on {trained['test_recordings']} "
        f"recordings of {len(trained['test_groups'])} specimens that the training never saw\n"
        f"model    {versions.NAME} version {trained['version']} ({trained['alias']})\n"
        f"inbox    {found['recordings']} recordings, {found['new']} new: {verdicts}\n"
        f"images   {out / 'spectrograms'}\n"
        f"report   {summary['report']}"
    )
    return summary
