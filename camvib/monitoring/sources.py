"""Files in buckets and on other machines, by URL: listed and fetched with fsspec, as ``s3://``, ``sftp://``, ``az://``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from camvib.errors import MissingExtra, ReadError

_EXTRAS = {"s3": "s3", "s3a": "s3", "az": "azure", "abfs": "azure", "sftp": "sftp", "ssh": "sftp"}
_TIMES = ("mtime", "LastModified", "last_modified", "created")


def is_remote(source: str | Path) -> bool:
    """Whether a source is named by URL; ``file://`` counts as remote, and is read in the same way."""
    return isinstance(source, str) and "://" in source


def remote_files(url: str) -> Iterator[tuple[str, int, int, str]]:
    """List files below a URL in the order of names: URL, size, time in ns since 1970, and a tag of the content.

    Raises
    ------
    MissingExtra
        The package for this kind of URL is not installed.
    ReadError
        It cannot be listed.
    """
    system, path = _open(url)
    try:
        found: dict[str, dict[str, Any]] = system.find(path, withdirs=False, detail=True)
        if not found and system.isfile(path):
            found = {path: system.info(path)}
    # Every kind of server has its own exceptions, and few of them derive from OSError.
    except Exception as error:
        raise ReadError(
            f"{url}: cannot be listed: {type(error).__name__}: {str(error)[:200]}",
            "Check the URL, and that this machine has the credentials in its environment",
        ) from error
    for name, info in sorted(found.items()):
        if any(part.startswith(".") for part in name.split("/")):
            continue
        tag = str(info.get("ETag") or info.get("etag") or info.get("md5") or info.get("ino") or "").strip('"')
        yield str(system.unstrip_protocol(name)), int(info.get("size") or 0), _time_ns(info), tag


@contextmanager
def local_copy(path: str, most_bytes: int) -> Iterator[Path]:
    """A file of this machine: itself, or a copy that is removed at the end.

    Raises
    ------
    ReadError
        It is larger than `most_bytes`, or cannot be fetched.
    """
    if not is_remote(path):
        yield Path(path)
        return
    system, name = _open(path)
    folder = Path(tempfile.mkdtemp(prefix="camvib-"))
    try:
        copy = folder / name.rpartition("/")[2]
        try:
            size = int(system.info(name).get("size") or 0)
            if size <= most_bytes:
                system.get_file(name, str(copy))
        except Exception as error:  # as above
            raise ReadError(
                f"{path}: cannot be fetched: {type(error).__name__}: {str(error)[:200]}",
                "Check that it is still there; the next run tries again once it changes",
            ) from error
        if size > most_bytes:
            raise ReadError(
                f"{path}: {size} bytes, the limit for a copy is {most_bytes}", "Split it, or raise the spool limit"
            )
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        extra = _EXTRAS.get(url.partition("://")[0], "")
        remedy = f"pip install 'camvib[{extra}]'" if extra else "Name a path, or a URL such as s3://bucket/folder"
        raise MissingExtra(f"{url}: {error}", remedy) from error
    return system, path


def _time_ns(info: dict[str, Any]) -> int:
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, datetime):
            return int(value.timestamp() * 1e9)
        if isinstance(value, int | float):
            return int(value * 1e9)
    return 0
