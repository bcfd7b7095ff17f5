"""The `serve` command: one process that serves, or a parent with several that share one loaded model.

Called by `__main__`. Several workers are forks: the parent loads and tries the model once, freezes what it has, forks,
and from then on only watches. While it loads, a child of its own answers the probes. Each worker listens on a socket of
its own for the same port, and the kernel deals out connections. A worker that ends before it was asked to takes the pod
with it: a container restarts, and says why, where a half-dead pod would look well.
"""

import contextlib
import ctypes
import dataclasses
import faulthandler
import functools
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from modelyard_runtime import assembly, errors, lifecycle, loading, metrics, server, service, settings
from modelyard_runtime import board as boards
from modelyard_runtime import trial as trials

_log = logging.getLogger(__name__)
_LAST_SECONDS = 3.0  # for the others' answers, when a worker has died
_POLL_SECONDS = 0.05
_OUT_OF_MEMORY = Path("/sys/fs/cgroup/memory.events")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclasses.dataclass(frozen=True, slots=True)
class Finished:
    """How serving ended: `failure` to tell about, None after a clean stop or when a worker has told already.

    `must_load_in_workers` asks for another start, in a fresh process, as `loads_in_workers`.
    """

    failure: errors.StartFailure | None = None
    stage: lifecycle.Stage = lifecycle.Stage.LOADING
    exit_code: int = 0
    must_load_in_workers: bool = False


def serve(options: settings.ServeSettings, loads_in_workers: bool = False) -> Finished:
    """Serves until told to stop; raises `StartFailure` when it can't begin.

    Returns in the parent and in every worker: the caller ends the process.
    """
    # A crash in native code leaves a Python traceback in the log; the signal is in the container's status anyway.
    faulthandler.enable(all_threads=True)
    _log.info(
        "loading",
        extra={
            "fields": {
                "model": options.model_name, "port": options.port, "pid": os.getpid(), "workers": options.workers,
            }
        },
    )  # fmt: skip
    # Before anything else: a child is best made by a process that has done nothing yet.
    tried = None if loads_in_workers else trials.before_serving(options)
    load = functools.partial(loading.load, options, trial=tried)
    if options.workers == 1:
        return _run(options, metrics.Metrics(), load, [assembly.listen(options.port, is_shared=False)])
    return _Parent(options).serve(load, loads_in_workers)


def _run(
    options: settings.ServeSettings,
    counters: metrics.Metrics,
    load: server.Load | None,
    sockets: list[socket.socket],
) -> Finished:
    serving = assembly.build(options, counters, load)
    serving.run(sockets)
    return Finished(serving.failure, serving.failed_stage)


class _Parent:
    """The process that loads, forks and watches."""

    def __init__(self, options: settings.ServeSettings) -> None:
        self._options = options
        self._workers: dict[int, int] = {}  # process id → number
        self._is_stopping = False
        self._kills_before = _kills()

    def serve(self, load: server.Load, loads_in_workers: bool) -> Finished:
        """Loads, forks and watches."""
        # All before the first fork: from now on, a client finds somebody whenever it comes.
        sockets = [assembly.listen(self._options.port, is_shared=True) for _ in range(self._options.workers)]
        if not loads_in_workers:
            greeter = _fork()
            if greeter is None:
                return _run(self._options, metrics.Metrics(), None, sockets)
            try:
                load = _loaded(load)
            finally:
                _end([greeter], 1.0)
            if _threads() > 1:
                # A process with threads can't be forked: a lock that one of them held would stay locked for ever.
                _log.warning("the model's library keeps threads: every worker loads the model for itself")
                return Finished(must_load_in_workers=True)
        # Nothing that is here now will ever be garbage; marking it as such would copy its pages into every worker.
        gc.collect()
        gc.freeze()
        board = boards.Board(self._options.workers)
        for number, own in enumerate(sockets):
            worker = _fork()
            if worker is None:
                for other in sockets:
                    if other is not own:
                        other.close()
                return self._work(board, number, load, own)
            self._workers[worker] = number
        for one in sockets:
            # A socket that stayed open here would go on taking connections for a worker that has left.
            one.close()
        return self._watch()

    def _work(self, board: boards.Board, number: int, load: server.Load, own: socket.socket) -> Finished:
        """What a worker does with its life."""
        board.sit_at(number)
        return _run(self._options, metrics.Metrics(board), load, [own])

    def _watch(self) -> Finished:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        code = 0
        while self._workers:
            process, status = os.wait()
            number = self._workers.pop(process, None)
            if number is None:
                continue
            ended = os.waitstatus_to_exitcode(status)
            if ended < 0:
                # Also while stopping: a crash is a crash.
                return self._bury(number, -ended)
            if not self._is_stopping:
                _end(self._workers, _LAST_SECONDS)
                return Finished(exit_code=ended or 1)
            code = code or ended
        return Finished(exit_code=code)

    def _stop(self, signal_number: int, frame: FrameType | None) -> None:
        """Passes the signal on; the second one as well, which ends a drain."""
        del signal_number, frame
        self._is_stopping = True
        _signal(self._workers, signal.SIGTERM)

    def _bury(self, number: int, signal_number: int) -> Finished:
        """Ends the others and tells how a worker died; the exit code is what a shell would give it."""
        _end(self._workers, _LAST_SECONDS)
        how = _cause(signal_number, out_of_memory=_kills() > self._kills_before)
        failure = errors.StartFailure(
            errors.Reason.INTERNAL_ERROR,
            f"worker {number} of {self._options.workers} was killed by {how}",
        )
        return Finished(failure, lifecycle.Stage.READY, 128 + signal_number)


def _cause(signal_number: int, out_of_memory: bool) -> str:
    """Gives in words what ended a worker, and what to do about it."""
    name = signal.Signals(signal_number).name
    if signal_number == signal.SIGKILL:
        known = "the container ran out of memory" if out_of_memory else "most often because memory ran out"
        return f"{name}: {known}; raise its memory limit, or lower runtime.workers"
    return f"{name}: the model, or the library that computes it, crashed; the log has the traceback"


def _loaded(load: server.Load) -> server.Load:
    """Loads now, and gives what hands the model over later."""
    # Nobody hears of the stages: whoever asks meanwhile is told that the model is loading.
    served = load(lambda _stage: None)

    def hand_over(enter: Callable[[lifecycle.Stage], None]) -> service.Served:
        enter(lifecycle.Stage.WARMING)
        return served

    return hand_over


def _fork() -> int | None:
    """Gives the child's process id, None in the child itself; a child never outlives its parent."""
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    return None


def _end(processes: "dict[int, int] | list[int]", seconds: float) -> None:
    """Ends children: asks, waits, and kills whoever is left."""
    _signal(processes, signal.SIGTERM)
    waiting, until = set(processes), time.monotonic() + seconds
    while waiting:
        for process in list(waiting):
            if os.waitpid(process, os.WNOHANG)[0]:
                waiting.discard(process)
        if time.monotonic() > until:
            _signal(list(waiting), signal.SIGKILL)
        if waiting:
            time.sleep(_POLL_SECONDS)


def _signal(processes: "dict[int, int] | list[int]", signal_number: int) -> None:
    for process in list(processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal_number)


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _kills() -> int:
    """Gives how often the kernel has killed something in this container for want of memory."""
    try:
        counted = dict(line.split() for line in _OUT_OF_MEMORY.read_text().splitlines())
    except OSError:
        return 0
    return int(counted.get("oom_kill", 0))
