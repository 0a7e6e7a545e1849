"""Worker processes that read files: one that hangs, crashes or eats memory is replaced, and the rest goes on.

A worker has two tasks in hand at most: the one that it works at and the next, so that it never waits for its parent.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from camvib.errors import CamvibError, ReadError
from camvib.readers.opening import in_this_process

_IN_HAND = 2
_LOOK_S = 0.2
_START_S = 180.0
_CRASHES = 2  # a task that took down so many workers is given up
_MIB = 1 << 20
_STARTING = threading.Lock()  # one worker at a time: a start looks at the caller's main module


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    Attributes
    ----------
    time_s : float
        To read and check it.
    memory_mib : int
        Beyond what a worker needs when it is idle.
    spool_mib : int
        Of a local copy of a remote file.
    """

    time_s: float = 120.0
    memory_mib: int = 2048
    spool_mib: int = 4096


class Workers:
    """Processes that call one function on tasks, each with a number that comes back with the result.

    Parameters
    ----------
    function : str
        ``package.module:name`` of a function of one argument; it is imported in the worker.
    count : int
        0 works in this process, without limits.
    limits : Limits
    """

    def __init__(self, function: str, count: int, limits: Limits) -> None:
        self.function, self.limits = function, limits
        self._tasks: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._results: queue.Queue[tuple[int, Any]] = queue.Queue(maxsize=256)
        self._crashes: dict[int, int] = {}
        self._ended = threading.Event()
        self._inline: Callable[[Any], Any] | None = None if count else _resolve(function)
        self._threads = [
            threading.Thread(target=self._tend, daemon=True, name=f"camvib-worker-{number}") for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, number: int, task: Any) -> None:
        """Have a task done some time."""
        if self._inline is not None:
            self._results.maxsize = 0  # the same thread takes the results
            self._results.put((number, _called(self._inline, task)))
        else:
            self._tasks.put((number, task))

    def result(self, timeout_s: float) -> tuple[int, Any] | None:
        """Number of a task and what came of it, a `CamvibError` included; None where nothing came in this time."""
        try:
            return self._results.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """End the workers, whatever they do."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _tend(self) -> None:
        """Keep one worker busy, and replace it when it ends."""
        worker: _Worker | None = None
        in_hand: deque[tuple[int, Any]] = deque()
        while not self._ended.is_set():
            while len(in_hand) < _IN_HAND and (task := self._next(wait=not in_hand)) is not None:
                worker = worker or _Worker(self.function, self.limits)
                in_hand.append(task)
                worker.send(task[1])
            if worker is not None and in_hand:
                worker = self._collect(worker, in_hand)
        if worker is not None:
            worker.kill()

    def _collect(self, worker: _Worker, in_hand: deque[tuple[int, Any]]) -> _Worker | None:
        """Wait for the answer to the first task in hand; returns the worker that goes on."""
        answer = worker.receive(self.limits.time_s, self._ended)
        number, _ = in_hand[0]
        if not isinstance(answer, _End):
            in_hand.popleft()
            self._put(number, answer)
            return worker
        worker.kill()
        self._crashes[number] = self._crashes.get(number, 0) + 1
        if answer.hung or self._crashes[number] >= _CRASHES:
            in_hand.popleft()
            self._put(number, answer.error(self.limits))
        if not in_hand or self._ended.is_set():
            return None
        another = _Worker(self.function, self.limits)
        for _, task in in_hand:
            another.send(task)
        return another

    def _next(self, wait: bool) -> tuple[int, Any] | None:
        try:
            return self._tasks.get(timeout=_LOOK_S) if wait else self._tasks.get_nowait()
        except queue.Empty:
            return None

    def _put(self, number: int, answer: Any) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._results.put((number, answer), timeout=_LOOK_S)
                return


@dataclass(frozen=True)
class _End:
    """A worker that is gone, or that must go because it hangs."""

    hung: bool
    code: int | None = None

    def error(self, limits: Limits) -> ReadError:
        remedy = "Copy the file again; if other software reads it, report it with its format"
        if self.hung:
            return ReadError(f"reading and checking it took longer than {limits.time_s:g} s", remedy)
        how = f"signal {-self.code}" if self.code is not None and self.code < 0 else f"exit code {self.code}"
        return ReadError(
            f"reading it ended the reading process {_CRASHES} times ({how}; it may use {limits.memory_mib} MiB)", remedy
        )


class _Worker:
    """One process with a pipe."""

    def __init__(self, function: str, limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the threads' locks, and no threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, function, limits, os.getpid()), daemon=True)
        with _callers_script_hidden():
            self._process.start()
        theirs.close()
        self._is_ready = False

    def send(self, task: Any) -> None:
        with contextlib.suppress(OSError):  # a dead one is noticed where its answer is awaited
            self._pipe.send(task)

    def receive(self, limit_s: float, ended: threading.Event) -> Any:
        if not self._is_ready:
            if isinstance(answer := self._wait(_START_S, ended), _End):
                return answer
            self._is_ready = True
        return self._wait(limit_s, ended)

    def _wait(self, limit_s: float, ended: threading.Event) -> Any:
        ends = time.monotonic() + limit_s
        while not ended.is_set():
            try:
                if self._pipe.poll(min(_LOOK_S, max(0.0, ends - time.monotonic()))):
                    return self._pipe.recv()
            except (EOFError, OSError):
                self._process.join(timeout=1)
                return _End(hung=False, code=self._process.exitcode)
            if time.monotonic() >= ends:
                return _End(hung=True)
        return _End(hung=False)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(timeout=5)
        self._pipe.close()


@contextlib.contextmanager
def _callers_script_hidden() -> Iterator[None]:
    """Keep spawn from running the caller's script again in the worker: nothing of it is needed there."""
    main = sys.modules["__main__"]
    with _STARTING:
        hidden: dict[str, Any] = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
        main.__spec__ = None
        try:
            yield
        finally:
            vars(main).update(hidden)


def _work(pipe: Connection, function: str, limits: Limits, parent: int) -> None:
    """Body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, who ends this process
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    call = _resolve(function)
    _limit_memory(limits.memory_mib)
    try:
        pipe.send("ready")
        with in_this_process():  # this is the process apart, with limits of its own
            while True:
                pipe.send(_called(call, pipe.recv()))
    except (EOFError, OSError):  # the parent is gone
        return


def _end_with(parent: int) -> None:
    """A parent that was killed closes no pipe to a worker that is busy."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def _limit_memory(mib: int) -> None:
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = open("/proc/self/status").read().splitlines()  # noqa: PTH123, SIM115
        used_kib = int(next(line for line in lines if line.startswith("VmData")).split()[1])
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (used_kib * 1024 + mib * _MIB, most))


def _resolve(function: str) -> Callable[[Any], Any]:
    module, _, name = function.partition(":")
    found: Callable[[Any], Any] = getattr(importlib.import_module(module), name)
    return found


def _called(function: Callable[[Any], Any], task: Any) -> Any:
    try:
        return function(task)
    except CamvibError as error:
        return error
    # Readers are other people's code too: whatever they raise is this file's end, not the run's.
    except Exception as error:  # noqa: BLE001
        return ReadError(
            f"reading it failed: {type(error).__name__}: {str(error)[:200]}", "Report it with the file's format"
        )
