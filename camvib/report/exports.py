"""The list for other programs: a table, a work order as text, a PDF."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from camvib.errors import CamvibError
from camvib.report import words
from camvib.report.view import PlantView, Row

COLUMNS = (
    "state", "machine", "name", "area", "criticality", "fault", "label", "before", "since", "days", "recordings_for",
    "recordings_of", "how_sure", "probability", "runner_up", "runner_up_probability", "change_db", "change_hz", "do",
    "by", "last_recording", "case",
)  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PDF_TIMEOUT_S = 180


def table(view: PlantView) -> str:
    """The list as CSV, in its order; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in (*view.rows, *view.quiet):
        writer.writerow([_cell(value) for value in _values(row)])
    return out.getvalue()


def _values(row: Row) -> list[object]:
    return [
        row.state, row.tag, row.name, row.area, row.criticality, row.what, row.label, row.before or "",
        row.since.isoformat(timespec="minutes") if row.since else "", row.days if row.since else "",
        row.k or "", row.n or "", row.level,
        _rounded(row.probability, 3), row.runner_up, _rounded(row.runner_up_probability, 3),
        _rounded(row.rise.db if row.rise else None, 1), _rounded(row.rise.hz if row.rise else None, 1),
        row.do, row.by.isoformat() if row.by else "",
        row.last.isoformat(timespec="minutes") if row.last else "", row.case.id if row.case else "",
    ]  # fmt: skip


def _rounded(value: float | None, digits: int) -> float | str:
    return "" if value is None else round(value, digits)


def _cell(value: object) -> object:
    """Escape what a spreadsheet would run (OWASP: CSV injection); numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = words.printable(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r", "|", "%") else text


def work_order(row: Row, view: PlantView) -> str:
    """Write what a maintenance system takes: plain text, one field a line, in the order of ISO 13374."""
    sure = f"{row.level}, {words.percent(row.probability)}" if row.probability is not None else "no figure"
    changed = f", {words.decibels(row.rise.db)} at {words.hertz(row.rise.hz)}" if row.rise else ""
    since = words.day(row.since, view.written) if row.since else "not known"
    lines = [
        f"Machine: {row.tag} {row.name}".rstrip(),
        f"Area: {row.area or '–'}",
        f"Criticality: {row.criticality}",
        f"State detection: changed since {since} ({row.k} of the last {row.n} recordings){changed}",
        f"Health assessment: {row.what} (how sure: {sure})",
        "Prognosis: none given",
        f"Advice: {row.do}",
        f"Due: {row.by.isoformat() if row.by else '–'}",
        f"Case: {row.case.id if row.case else '–'}",
        f"Source: camvib report of {words.clock(view.written)}; a model advises, an engineer decides",
    ]
    return words.printable("\n".join(lines)) + "\n"


def browser() -> Path | None:
    """Find a Chromium."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return Path(found) if found else None


def pdf(page: Path, out: Path) -> Path:
    """Print a page as PDF with Chromium.

    Raises
    ------
    CamvibError
        There is no Chromium, or it failed.
    """
    program = browser()
    if program is None:
        raise CamvibError("no Chromium to print with", "Install chromium, or open the page and print it to a PDF")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            str(program), "--headless=new", "--disable-gpu", "--no-sandbox", f"--user-data-dir={profile}",
            "--no-pdf-header-footer", "--virtual-time-budget=20000", f"--print-to-pdf={out.resolve()}",
            page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PDF_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise CamvibError(
                f"{program} did not print within {PDF_TIMEOUT_S} s", "Print the page from the browser"
            ) from error
    if done.returncode or not out.is_file():
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise CamvibError(f"{program} could not print {page}: {last}", "Print the page from the browser")
    return out
