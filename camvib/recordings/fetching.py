"""Public data sets: fetched from their publishers or a mirror, every file checked by its sha256."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pooch
from tqdm import tqdm

from camvib.errors import CamvibError
from camvib.recordings.catalog import SHIPPED, DataSet, File, get, shipped_file
from camvib.records import file_sha256


def fetch(name: str, out: Path, mirror: Path | None = None) -> Path:
    """Bring a data set to a folder; every file is checked, and what is there already is kept.

    Parameters
    ----------
    name : str
    out : Path
        Folder to write; made if needed.
    mirror : Path, optional
        Folder to copy from, itself of that set or holding it under its name; None downloads from the source.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    CamvibError
        No such set; a file is missing, cannot be downloaded or has another checksum; or files of the set were
        converted, so that only a mirror has them.
    """
    return fetch_set(get(name), Path(out), mirror)


def fetch_set(known: DataSet, out: Path, mirror: Path | None = None) -> Path:
    """Do `fetch` for a set that need not be in the catalog."""
    if mirror is not None and (mirror / known.name).is_dir():
        mirror = mirror / known.name
    if mirror is None:
        _check_downloadable(known)
    for file in tqdm(known.files, desc=known.name, unit="file", delay=1):
        target = out / file.path
        if target.is_file() and file_sha256(target) == file.sha256:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if mirror is not None:
            _write(target, _from_mirror(known, mirror, file), file, mirror)
        elif file.upstream == SHIPPED:
            _write(target, shipped_file(f"labels/{known.name}.csv").read_bytes(), file, Path("camvib"))
        else:
            _download(known, file, target)
    return out


def verify(name: str, folder: Path) -> list[str]:
    """Compare a folder with the catalog.

    Returns
    -------
    list of str
        One line for each file that is missing or differs; empty when all is well.

    Raises
    ------
    CamvibError
        No such set, or no such folder.
    """
    known, problems = get(name), []
    if not Path(folder).is_dir():
        raise CamvibError(f"{folder}: there is no such folder", f"Fetch it: camvib data fetch {name} --out {folder}")
    for file in tqdm(known.files, desc=known.name, unit="file", delay=1):
        try:
            content = _from_mirror(known, Path(folder), file)
        except CamvibError as error:
            problems.append(str(error))
            continue
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            problems.append(str(_differs(file, str(Path(folder) / file.path), found)))
    return problems


def _check_downloadable(known: DataSet) -> None:
    converted = [file.path for file in known.files if known.url(file) is None and file.upstream != SHIPPED]
    if converted:
        raise CamvibError(
            f"{known.name}: {len(converted)} files were converted from {known.source} and cannot be downloaded, "
            f"such as {converted[0]}",
            "Copy them from a mirror with --from DIR",
        )


def _from_mirror(known: DataSet, mirror: Path, file: File) -> bytes:
    """Read a file from a folder, or from the archive in it that holds the files packed."""
    plain = mirror / file.path
    if plain.is_file():
        return plain.read_bytes()
    packed = mirror / known.archive if known.archive else None
    if packed and packed.is_file():
        with zipfile.ZipFile(packed) as archive:
            if file.path in archive.namelist():
                return archive.read(file.path)
    raise CamvibError(f"{plain} is missing", f"Run camvib data fetch {known.name} again, or give another --from folder")


def _write(target: Path, content: bytes, file: File, source: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise _differs(file, f"{source}: {file.path}", found)
    # Under its own name a file is whole or not there at all.
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(target)


def _download(known: DataSet, file: File, target: Path) -> None:
    url = known.url(file)
    target.unlink(missing_ok=True)
    try:
        pooch.retrieve(url, f"sha256:{file.sha256}", target.name, target.parent, progressbar=True)
    except ValueError as error:  # pooch's word for a checksum that differs; its message shows both
        raise CamvibError(
            f"{url}: {str(error).splitlines()[0]}", "Fetch again; if it persists, the source has changed"
        ) from error
    except OSError as error:  # requests' errors are OSErrors
        raise CamvibError(
            f"{url}: {error}", "Check the network, or copy the set from a mirror with --from DIR"
        ) from error


def _differs(file: File, where: str, found: str) -> CamvibError:
    message = f"{where} has sha256 {found}, expected {file.sha256}"
    return CamvibError(message, "Fetch it again: it is damaged, or another edition")
