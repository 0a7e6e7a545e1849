"""Files that labels.csv spells otherwise than the folder does."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from camvib.recordings.labels import Row


def spelled(folder: Path, rows: list[Row], notes: list[str]) -> list[Row]:
    """Find files whose rows spell them in another case, without extension or with the folder's own name before."""
    _children.cache_clear()
    found, changed = [], []
    for row in rows:
        file = row.file if (folder / row.file).is_file() else _find(folder, row.file)
        changed += [f"{row.file} → {file}"] if file and file != row.file else []
        found.append(replace(row, file=file or row.file))
    if changed:
        shown = ", ".join(changed[:3]) + (", …" if len(changed) > 3 else "")
        notes.append(f"{len(changed)} files were found under another spelling: {shown}")
    return found


def _find(folder: Path, file: str) -> str | None:
    """Return the only file of the folder that this may mean; None if there is none, or several."""
    parts = file.split("/")
    if parts[0] == folder.absolute().name and len(parts) > 1 and (folder / "/".join(parts[1:])).is_file():
        return "/".join(parts[1:])
    here = [folder]
    for i, part in enumerate(parts):
        is_last = i == len(parts) - 1
        there = [path for place in here for path in _children(place) if path.name.casefold() == part.casefold()]
        if is_last and not there:
            there = [path for place in here for path in _children(place) if path.stem.casefold() == part.casefold()]
        here = [path for path in there if path.is_file() == is_last]
    return here[0].relative_to(folder).as_posix() if len(here) == 1 else None


@lru_cache(maxsize=4096)
def _children(folder: Path) -> tuple[Path, ...]:
    return tuple(folder.iterdir()) if folder.is_dir() else ()
