"""The ledger → the page, written to a file or served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from camvib.model.model import Model
from camvib.monitoring.ledger import Store
from camvib.recordings.plant import UNKNOWN, Plant
from camvib.report import exports
from camvib.report.histories import plant_view
from camvib.report.page import DEFAULT_SCALE, MaterialOf, last_written, render, write_page
from camvib.report.view import Bin, PlantView, Trust
from camvib.review.answers import ACT_KEY
from camvib.review.materials import Materials

USUAL_PERIOD = timedelta(days=7)


@dataclass(frozen=True, eq=False)
class Page:
    """A page ready to be rendered."""

    view: PlantView
    plant: Plant
    material_of: MaterialOf
    scale: float
    labels: tuple[str, ...]
    left_out_why: str = ""

    def write(self, out: Path, *, progress: bool = True) -> Path:
        """Write it to a file."""
        return write_page(
            self.view, out, plant=self.plant, material_of=self.material_of, scale=self.scale, labels=self.labels,
            left_out_why=self.left_out_why, progress=progress,
        )  # fmt: skip

    def pieces(self, desk: str) -> Iterator[str]:
        """Render it for the review desk."""
        return render(
            self.view, plant=self.plant, material_of=self.material_of, scale=self.scale, labels=self.labels,
            left_out_why=self.left_out_why, desk=desk,
        )  # fmt: skip


def page_of(
    store: Store,
    plant: Plant,
    model: Model | None = None,
    *,
    model_name: str = "",
    asset: str | None = None,
    former: Path | None = None,
    now: datetime | None = None,
) -> Page:
    """Make the page of what a ledger holds.

    Parameters
    ----------
    store : Store
    plant : Plant
    model : Model, optional
        For the proof, and for how far to trust the page.
    model_name : str
        As the user named it.
    asset : str, optional
        Only this machine; the page says how many recordings that leaves out.
    former : Path, optional
        The last page: what changed is counted from when it was written; else over a week.
    now : datetime, optional
        By default this moment.
    """
    now = now or datetime.now().astimezone()
    answers = [answer for answer in store.answers() if not answer.key.startswith(ACT_KEY)]
    materials = Materials(store, plant, model, model_name, answers)
    since = (last_written(former) if former else None) or now - USUAL_PERIOD
    assets = store.assets()
    chosen = assets if asset is None else [one for one in assets if one == asset]
    shown = plant if asset is None else plant.model_copy(update={"machines": _only(plant, asset)})
    left_out = sum(1 for one in assets if one not in chosen for _ in store.points(one))
    view = plant_view(
        map(materials.with_changes, store.histories(chosen)), shown, now=now, since=since, trust=trust_of(model),
        answers=answers, look_at=materials.look_at, left_out=left_out,
    )  # fmt: skip
    classes = model.classes if model else ()
    labels = tuple(dict.fromkeys((*classes, *(name for name in plant.actions if name != UNKNOWN))))
    scale = float((model.card if model else {}).get("map_scale_logits", DEFAULT_SCALE))
    return Page(view, shown, materials.of, scale, labels, f"--asset {asset}" if asset is not None else "")


def _only(plant: Plant, asset: str) -> dict[str, Any]:
    return {name: machine for name, machine in plant.machines.items() if name == asset}


def trust_of(model: Model | None) -> Trust:
    """What a model's card says of its figures on machines that it never saw."""
    if model is None:
        return Trust()
    card: Mapping[str, Any] = model.card
    return Trust(
        accuracy=card.get("accuracy"),
        recordings=int(card.get("test_recordings", 0)),
        machines=int(card.get("test_groups", 0)),
        false_of_100=card.get("false_of_100"),
        missed_of_100=card.get("missed_of_100"),
        bins=tuple(Bin(*values) for values in card.get("reliability", ())),
        digests=(("Model", model.digest), ("Settings", model.settings.diagnosis.digest())),
    )


@dataclass(frozen=True)
class Written:
    """What a report came to."""

    out: Path
    view: PlantView
    other_files: tuple[Path, ...] = ()


def publish(
    page: Page,
    out: Path,
    *,
    table: Path | None = None,
    pdf: Path | None = None,
    work_orders: Path | None = None,
    progress: bool = True,
) -> Written:
    """Write the page, and what else is asked for.

    Parameters
    ----------
    page : Page
    out : Path
    table, pdf : Path, optional
        CSV of the list, PDF of the page.
    work_orders : Path, optional
        Folder for one text file for each machine to act on.
    progress : bool
    """
    page.write(out, progress=progress)
    others = []
    if table:
        others.append(table)
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(exports.table(page.view), "utf-8")
    if pdf:
        others.append(exports.pdf(out, pdf))
    if work_orders:
        work_orders.mkdir(parents=True, exist_ok=True)
        for row in page.view.of("act"):
            others.append(work_orders / f"{row.id}.txt")
            others[-1].write_text(exports.work_order(row, page.view), "utf-8")
    return Written(out, page.view, tuple(others))
