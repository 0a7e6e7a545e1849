"""The whole path on a simulated plant: its past → train → register; new machines → baselines → diagnose → report."""

from pathlib import Path
from typing import Any

from camvib.pipelines._prefect import flow, task
from camvib.pipelines.diagnose import diagnose
from camvib.pipelines.train import train

from camvib.registry import versions

MACHINES, NEW_MACHINES = 40, 20
RIG = "cantilever"
NETWORK = "change_cnn"  # the demo shows it; `camvib train` alone compares what fits the data


@task(name="simulate plant")
def simulate_plant(out: Path, machines: int, seed: int) -> Path:
    """Write the labelled past of a plant."""
    from camvib.simulation.inbox import write_plant

    return write_plant(out, machines, seed)


@task(name="fill inbox")
def fill_inbox(out: Path, machines: int, seed: int) -> Path:
    """Write recordings of new machines: healthy ones, and an inbox with some that are not fit to be judged."""
    from camvib.simulation.inbox import write_inbox

    return write_inbox(out, machines, seed)


@task(name="learn baselines")
def learn_baselines(healthy: Path, model: str, store: Path) -> int:
    """Learn what the new machines look like when healthy."""
    from camvib.jobs import baseline_paths

    return sum(not one.error for one in baseline_paths([healthy], model, store))


@flow(name="camvib-demo", log_prints=True)
def demo(
    out: Path,
    machines: int = MACHINES,
    seed: int = 0,
    new_machines: int = NEW_MACHINES,
    settings: Path | None = None,
) -> dict[str, Any]:
    """Train on a plant's past and diagnose new machines, which the training never saw."""
    plant = simulate_plant(out / "plant", machines, seed)
    new = fill_inbox(out / "new", new_machines, seed + 1)
    trained = train(plant, out / "run", settings, network=NETWORK, rig=RIG)
    # This demo's own version: another model may be the champion here.
    model, store = f"models:/{versions.NAME}/{trained['version']}", out / "store.db"
    baselines = learn_baselines(new / "healthy", model, store)
    report = out / "report.html"
    found = diagnose(new / "inbox", model, report, store)
    return {"training": trained, "baselines": baselines, "diagnosis": found, "inbox": str(new / "inbox"),
            "store": str(store), "report": str(report)}  # fmt: skip
