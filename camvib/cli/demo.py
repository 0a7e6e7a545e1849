"""``camvib demo``: run the flow, compare with what the simulator knows, and say both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer


def run_demo(out: Path, machines: int, seed: int, settings: Path | None = None) -> dict[str, Any]:
    """Run the demo and print what a person wants to know.

    Parameters
    ----------
    out : Path
    machines, seed : int
    settings : Path, optional
        A settings file, as for ``camvib train``.
    """
    from camvib.evaluation.demo import score_inbox
    from camvib.jobs import open_store
    from camvib.pipelines.demo import demo

    begun = time.monotonic()
    summary: dict[str, Any] = demo(out, machines, seed, settings=settings)
    scores = score_inbox(Path(summary["inbox"]), open_store(Path(summary["store"])))
    seconds = time.monotonic() - begun
    trained, found = summary["training"], summary["diagnosis"]
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in found["verdicts"].items())
    typer.echo(
        f"\ncame with camvib   a change network, trained on other simulated beams\n"
        f"trained here       {trained['network']} on {trained['image']}, finished on {machines} beams; macro-F1 "
        f"{trained['macro_f1']:.3f} on beams held out; version {trained['version']} ({trained['alias']})\n"
        f"new machines       {summary['baselines']} healthy baselines; {scores['recordings']} recordings judged, "
        f"{scores['refused']} refused: {verdicts}\n"
        f"against the truth  macro-F1 {scores['macro_f1']:.3f}, healthy called faulty "
        f"{scores['healthy_called_faulty']:.1%}, map AP {scores['map_ap']:.3f} (chance {scores['map_chance']:.3f})\n"
        f"report             {summary['report']}\n"
        f"took               {seconds:.0f} s"
    )
    return {**summary, "demo": {**scores, "seconds": round(seconds, 1)}}
