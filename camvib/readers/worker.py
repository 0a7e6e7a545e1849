"""Reading in a process of its own, with limits of time, memory and temporary space.

A stranger's file may hang a parser, fill the disk or crash C code. One worker process reads all files of this process,
one after the other; it is replaced when a file kills it. Samples come back through a pipe, those of long files as
files in a temporary folder, which are mapped and then unlinked.
"""

from __future__ import annotations

import atexit
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from camvib.errors import CamvibError, ReadError

SECONDS = 30.0  # for a small file; a large one has more
SECONDS_PER_MB = 0.5
MEMORY_BYTES = 4 << 30
SPACE_BYTES, SPACE_RATIO = 2 << 30, 16  # temporary space: at least, and times the file's size
FIRST_SECONDS = 120.0  # the worker imports what it needs


class _Mapped(NamedTuple):
    """An array that lies in a file."""

    file: str
    offset: int
    dtype: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Process:
    """The worker as seen from here."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-c", "from camvib.readers.worker import serve; serve()", str(theirs.fileno())]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        theirs.close()
        self._pipe = Connection(ours.detach())
        self._is_new = True
        self.owner = os.getpid()

    def ask(self, request: dict[str, Any], seconds: float) -> Any:
        """Return what the worker answers; None if it takes too long or dies."""
        limit = seconds + (FIRST_SECONDS if self._is_new else 0.0)
        try:
            self._pipe.send(request)
            if not self._pipe.poll(limit):
                self.stop()
                return f"took more than {limit:.0f} s"
            answer = self._pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self.stop()
            return "killed the process that read it (a damaged file, or one that takes too much memory)"
        self._is_new = False
        return answer

    def stop(self) -> None:
        """End the worker, as this process started it."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


_lock = threading.Lock()
_current: _Process | None = None


def read_apart(path: Path) -> tuple[list[Any], list[Any]]:
    """Read a file in the worker process; returns its channels and what it leaves out.

    Raises
    ------
    ReadError
        As the reader does; or the file takes too much time, memory or temporary space, or kills its reader.
    """
    global _current
    size = path.stat().st_size
    seconds = SECONDS + SECONDS_PER_MB * size / 1e6
    with _lock:
        if _current is None or _current.owner != os.getpid():  # a fork shares the pipe with its parent
            _current = _Process()
        folder = tempfile.mkdtemp(prefix="camvib-")
        try:
            request = {"path": str(path), "folder": folder, "memory": MEMORY_BYTES, "space": _space(size)}
            answer = _current.ask(request, seconds)
            if isinstance(answer, str):
                _current = None
                raise ReadError(
                    f"{path}: {answer}", "Export the recording once more, in another format; do not trust the file"
                )
            if isinstance(answer, CamvibError):
                raise answer
            channels, left_out = answer
            return [replace(one, samples=_here(one.samples)) for one in channels], left_out
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _space(size: int) -> float:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    return min(max(SPACE_BYTES, SPACE_RATIO * size), 0.8 * free)


@atexit.register
def stop() -> None:
    """End the worker of this process; the next file starts another."""
    global _current
    if _current is not None and _current.owner == os.getpid():
        _current.stop()
    _current = None


def _here(samples: NDArray[Any] | _Mapped) -> NDArray[Any]:
    if not isinstance(samples, _Mapped):
        return samples
    whole = np.memmap(samples.file, np.uint8, "r")
    return np.ndarray(samples.shape, samples.dtype, whole, samples.offset, samples.strides)


def serve() -> None:
    """Answer requests until the pipe closes: the worker's own loop."""
    from camvib.readers.opening import open_here
    from camvib.readers.parsing.blocks import spool_into

    pipe = Connection(int(sys.argv[1]))
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return
        _limit_memory(request["memory"])
        spool_into(Path(request["folder"]), request["space"])
        tempfile.tempdir = request["folder"]
        try:
            channels, left_out = open_here(Path(request["path"]))
            answer: Any = ([replace(one, samples=_there(one.samples)) for one in channels], left_out)
        except CamvibError as error:
            answer = error
        try:
            pipe.send(answer)
        except (MemoryError, OSError):
            return


def _limit_memory(most_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _there(samples: NDArray[Any]) -> Any:
    """Replace an array that lies in a file by its place there."""
    base: Any = samples
    while base is not None and not (isinstance(base, np.memmap) and not isinstance(base.base, np.ndarray)):
        base = getattr(base, "base", None)
    if base is None or base.filename is None or not isinstance(base.filename, (str, os.PathLike)):
        return samples
    begin = samples.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return _Mapped(str(base.filename), base.offset + begin, samples.dtype, samples.shape, samples.strides)
