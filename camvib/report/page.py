"""The view and its findings → one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from tqdm import tqdm

from camvib import __version__
from camvib.drawing.figures import power_unit, pretty_unit
from camvib.errors import CamvibError
from camvib.recordings.plant import Plant
from camvib.records import Diagnosis
from camvib.report import words
from camvib.report.against import against
from camvib.report.exports import work_order
from camvib.report.finding import Drawn, Material, Overall, draw
from camvib.report.trend import no_trend, sparkline, trend_plot, trend_words
from camvib.report.view import PlantView, Row, Trust

HERE = Path(__file__).parent
SCRIPTS = ("list.js", "finding.js", "answers.js")
STATE_WORDS = {"act": "act", "watch": "watch", "blind": "not judged", "ok": "as it was"}
DEFAULT_SCALE = 30.0  # logits of full colour where the model names none
INLINE = 12  # findings that read without a script; of a longer page the others are unpacked when they are opened

MaterialOf = Callable[[Row], Material | None]


def write_page(
    view: PlantView,
    out: Path,
    *,
    plant: Plant,
    material_of: MaterialOf = lambda row: None,
    scale: float = DEFAULT_SCALE,
    labels: Iterable[str] = (),
    left_out_why: str = "",
    progress: bool = True,
) -> Path:
    """Write one self-contained HTML page on a plant and return its path.

    Parameters
    ----------
    view : PlantView
    out : Path
        The page; it is replaced as a whole or left as it was.
    plant : Plant
    material_of : callable
        What a row's finding is drawn from; asked for one row at a time, so that a long page holds one at a time.
    scale : float
        Logits of full colour in the class maps.
    labels : iterable of str
        Known conditions, to choose from when an answer names another.
    left_out_why : str
        Why the page does not hold all recordings of the store.
    progress : bool
        Show a progress bar if it takes longer than 2 s.

    Raises
    ------
    CamvibError
        `out` is a folder.
    """
    if out.is_dir():
        raise CamvibError(f"{out} is a folder", "Name the report's file, e.g. report.html inside it")
    pieces = render(
        view, plant=plant, material_of=material_of, scale=scale, labels=labels, left_out_why=left_out_why,
        progress=progress,
    )  # fmt: skip
    _replace(out, pieces)
    return out


def render(
    view: PlantView,
    *,
    plant: Plant,
    material_of: MaterialOf = lambda row: None,
    scale: float = DEFAULT_SCALE,
    labels: Iterable[str] = (),
    left_out_why: str = "",
    desk: str = "",
    progress: bool = False,
) -> Iterator[str]:
    """Render the page piece by piece; `desk` is the review desk's token, empty for a file."""
    script = "\n".join((HERE / name).read_text("utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    starts = [row for row in view.rows if row.state == "act" and not row.snoozed_until]
    return _environment(plant.zone).get_template("page.html").generate(
        view=view,
        plant=plant,
        headline=headline(view),
        start=starts[0] if starts else None,
        findings=_findings(view, plant, material_of, scale, progress),
        state_words=STATE_WORDS,
        left_out_why=left_out_why,
        inline=INLINE,
        desk=desk,
        version=__version__,
        css=Markup((HERE / "page.css").read_text("utf-8").strip()),  # our own file
        script=Markup(script),
        script_sha256=digest,
        plant_json=_plant_json(view, labels),
    )  # fmt: skip


def headline(view: PlantView) -> str:
    """How many machines need action, in one sentence."""
    act = view.count("act")
    if not act:
        return "No machine needs action." if view.machines else "No machines yet."
    new = f", {view.new} of them new" if view.since and view.new else ", none of them new" if view.since else ""
    return f"{act} machine{'' if act == 1 else 's'} need{'s' if act == 1 else ''} action{new}."


def last_written(page: Path) -> datetime | None:
    """When the page at this place was written, so that the next one can say what changed; None if it is no page."""
    try:
        text = page.read_text("utf-8", errors="replace")
    except OSError:
        return None
    _, found, rest = text.rpartition('<script type="application/json" id="plant">')
    if not found:
        return None
    try:
        return datetime.fromisoformat(json.loads(rest.partition("</script>")[0])["written"])
    except (ValueError, KeyError, TypeError):
        return None


def _findings(
    view: PlantView, plant: Plant, material_of: MaterialOf, scale: float, progress: bool
) -> Iterator[tuple[Row, Material | None, Drawn | None]]:
    for row in tqdm(view.rows, desc="report", unit="finding", delay=2, disable=not progress):
        material = material_of(row)
        yield row, material, draw(material, scale, plant.action(row.label).undone_by) if material else None


def _plant_json(view: PlantView, labels: Iterable[str]) -> Markup:
    area_of = {row.asset: n for n, rows in enumerate(view.areas.values()) for row in rows}
    quiet = [
        [
            *(words.printable(text) for text in (row.tag, row.name, row.area)),
            row.criticality,
            f"as it was, {words.day(row.last, view.written)}" if row.last else "",
            area_of[row.asset],
        ]
        for row in view.quiet
    ]
    return json_for_page(
        {
            "name": words.printable(view.name),
            "written": view.written.isoformat(timespec="seconds"),
            "labels": sorted({words.printable(label) for label in labels}),
            "quiet": quiet,
        }
    )


def json_for_page(value: object) -> Markup:
    """Write JSON that cannot end the script element that it stands in."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026"))


def _environment(zone: tzinfo) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: words.printable(value) if type(value) is str else value,
    )  # fmt: skip
    environment.filters.update(
        about=_about, against=against, clock=words.clock, count=words.count, day_of=words.day, days=words.days,
        decibels=words.decibels, hertz=words.hertz, later=_later, how_often=how_often, human_label=words.human_label,
        local=lambda text, plant: words.local(text, plant.zone), local_time=lambda at, plant: at.astimezone(plant.zone),
        lower_first=lambda text: text[:1].lower() + text[1:], no_trend=no_trend, overall=overall, part=words.part,
        percent=words.percent, plus=lambda n: f"{n:+d}".replace("-", "−"), power_unit=power_unit, proof=proof_words,
        ranked=_ranked, rate=words.rate, safe_json=Markup, short_line=_short_line, signed=words.signed,
        sort_values=_sort_values, sparkline=sparkline, spectrum_said=_spectrum_said, trend_plot=trend_plot,
        trend_words=trend_words, unit=pretty_unit, weekday=words.weekday,
    )  # fmt: skip
    return environment


def _later(text: str) -> str:
    """Pack a finding that is unpacked when it is opened: a long page opens fast, and is a third smaller."""
    return base64.b64encode(zlib.compress(str(text).encode("utf-8", "backslashreplace"), 9)).decode()


def _about(row: Row, material: Material | None, view: PlantView) -> Markup:
    """What an answer has to name, and the work order, for the script."""
    recording = material.diagnosis.recording_id if material else ""
    order = work_order(row, view) if row.state == "act" else ""
    return json_for_page(
        {
            "asset": row.asset, "case": row.case.id if row.case else None, "recording": recording,
            "label": row.label, "what": words.printable(row.what[:1].lower() + row.what[1:]), "order": order,
        }
    )  # fmt: skip


def _sort_values(row: Row) -> str:
    """What the columns sort by, in their order: urgency, machine, fault, since, how sure, change, deadline."""
    rank = {"act": 0, "watch": 1, "blind": 2, "ok": 3}[row.state]
    by = row.by.toordinal() if row.by else 10**6
    change = row.trend.db[-1] if row.trend else -1.0
    return json.dumps(
        [
            rank * 10**8 + by * 10 + "ABC".index(row.criticality), row.tag, row.what,
            row.since.timestamp() if row.since else 9e15, -(row.probability or -1.0), -change, by,
        ]
    )  # fmt: skip


def _ranked(diagnosis: Diagnosis) -> list[tuple[str, float]]:
    return sorted(diagnosis.probabilities.items(), key=lambda item: -item[1])


def _short_line(name: str) -> str:
    return name.removesuffix(" bending mode").removesuffix(" mode")


def how_often(row: Row, trust: Trust) -> str:
    """How often calls of this confidence were right on machines that the model never saw."""
    measured = trust.bin_of(row.probability)
    if measured:
        return f"of {measured.calls} such calls on unseen machines {measured.right} were right"
    return "how often such calls are right was not measured"


def overall(level: Overall) -> str:
    """Overall level against the healthy one, the user's limit and the zone."""
    unit = pretty_unit(level.unit)
    parts = [f"overall {level.rms:.2g} {unit} rms"]
    if level.healthy is not None:
        parts.append(f"healthy {level.healthy:.2g}")
    if level.limit is not None:
        over = "above it" if level.rms > level.limit else "the overall level does not show it"
        parts.append(f"your limit {level.limit:.2g}{f' ({level.source})' if level.source else ''}: {over}")
    if level.zone:
        parts.append(f"zone {level.zone} of ISO 20816-3")
    return ", ".join(parts)


def proof_words(proof: object, plant: Plant) -> str:
    """Say what the notched recording was called."""
    from camvib.diagnosis.proof import Proof

    assert isinstance(proof, Proof)
    label = words.human_label(proof.label, plant)
    what = f"the strongest {proof.regions} regions" if proof.regions > 1 else "the strongest region"
    cells = words.percent(proof.share_of_cells)
    said = (
        f"With {what} ({cells} of the picture) brought back to the healthy level, the same recording is diagnosed "
        f"again: {label} falls from {words.percent(proof.before)} to {words.percent(proof.after)}"
        if proof.after <= proof.before
        else f"With {what} ({cells} of the picture) brought back to the healthy level, {label} goes from "
        f"{words.percent(proof.before)} to {words.percent(proof.after)}"
    )
    if proof.healthy_before is not None and proof.healthy_after is not None:
        said += f", healthy from {words.percent(proof.healthy_before)} to {words.percent(proof.healthy_after)}"
    if not proof.holds:
        return f"{said}. The verdict stays: the explanation is weak, the model goes by something else as well."
    after = (
        f"it is called {words.human_label(proof.label_after, plant)}"
        if proof.label_after != proof.label
        else "less than half as likely"
    )
    return f"{said}. So the verdict rests on these places: without them {after}."


def _spectrum_said(drawn: Drawn, material: Material) -> str:
    """The spectrum for those who cannot see it."""
    risen = [line for line in drawn.spectrum.lines if line.rise_db is not None and abs(line.rise_db) >= 3]
    named = ", ".join(f"{line.name} {words.decibels(line.rise_db or 0.0)}" for line in risen[:6])
    return f"Spectrum of the newest recording over the healthy one. {named or 'No known line moved by 3 dB or more'}"


def _replace(out: Path, pieces: Iterable[str]) -> None:
    """Write beside `out` first, so that a reader never meets half a page."""
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name[:60]}.", suffix=".tmp")
    try:
        # Whatever a name holds, the page is written: what no encoding takes was made printable before.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(pieces)
        Path(name).chmod(0o644)  # mkstemp's 0600 would hide the page from colleagues
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
