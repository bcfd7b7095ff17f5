"""A function in a forked child with limits of memory and time: what ends the child is told, and harms nobody.

Called by `trial`, around what reads models and converts them: native code, which may crash, never end, or want more
memory than there is. The child tells what it has found out in messages, one line of bytes each; the parent hears one
after the other, each within its time, and looks at the child's memory meanwhile. The child ends with its parent.

A fork, because another process would import everything again. It must be made by the main thread (the kernel ends the
child when the thread that made it ends) and before anything was computed in several threads, which don't live
through a fork.
"""

import contextlib
import ctypes
import dataclasses
import enum
import faulthandler
import logging
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from modelyard_runtime import memory

_log = logging.getLogger(__name__)
Tell = Callable[[bytes], None]

_LOOK_MILLISECONDS = 5.0  # a look costs some 30 microseconds; a thread fills 15 MiB between two
LONGEST_MESSAGE = 16 * 1024**2
_CHUNK = 64 * 1024
_OUT_OF_MEMORY = 12  # the exit code of a child that was refused memory
_THREADS = 64  # for a child whose parent is stopped: it may compute its time in as many threads
# Reserving is no use: stacks of threads and buffers of engines are hardly touched. This stops only what is absurd.
_RESERVES = 2
_RESERVED_BYTES = 2 * 1024**3
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class How(enum.Enum):
    """What ended a child."""

    DONE = "done"
    TOO_LONG = "too long"
    TOO_MUCH = "too much memory"
    CRASHED = "crashed"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """A child's end; `number` is the signal of a crash or the code of a failure."""

    how: How
    number: int = 0

    @property
    def signal_name(self) -> str:
        """The name of the signal of a crash, empty for another end."""
        return signal.Signals(self.number).name if self.how is How.CRASHED else ""


class Child:
    """A forked process that runs `work` and may use `memory_bytes` beyond what its parent has."""

    def __init__(self, work: Callable[[Tell], object], memory_bytes: int) -> None:
        self._buffer = bytearray()
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns of threads at a fork: those of BLAS are idle, and it sees to itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            parent, self.process = os.getpid(), os.fork()
        if self.process == 0:
            os.close(reading)
            _become_child(parent, work, writing, memory_bytes)
        os.close(writing)
        os.set_blocking(reading, False)
        self._reading = reading
        self._handle = os.pidfd_open(self.process)
        self._status = os.open(f"/proc/{self.process}/status", os.O_RDONLY)
        self._poller = select.poll()
        for descriptor in (self._reading, self._handle):
            self._poller.register(descriptor, select.POLLIN)
        self._ended: Ended | None = None
        # What it has from its parent it shares with it.
        self._most_bytes = self._used() + memory_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hear(self, seconds: float) -> bytes | Ended:
        """Gives the child's next message, or how it ended before there was one. Blocks."""
        until = time.monotonic() + seconds
        while True:
            line, found, rest = self._buffer.partition(b"\n")
            if found:
                self._buffer = rest
                return bytes(line)
            if self._ended is not None:
                return self._ended
            if len(self._buffer) > LONGEST_MESSAGE:
                return self._kill(Ended(How.FAILED))
            if self._used() > self._most_bytes:
                return self._kill(Ended(How.TOO_MUCH))
            if time.monotonic() >= until:
                return self._kill(Ended(How.TOO_LONG))
            self._look()

    def close(self) -> None:
        """Ends the child if it still runs, and forgets it."""
        self._kill(Ended(How.DONE))
        for descriptor in (self._reading, self._handle, self._status):
            if descriptor >= 0:
                os.close(descriptor)
        self._reading = self._handle = self._status = -1

    def _look(self) -> None:
        ready = dict(self._poller.poll(_LOOK_MILLISECONDS))
        self._read()
        if self._handle in ready:
            # What it said last came before its end.
            self._read()
            self._ended = _ending(os.waitpid(self.process, 0)[1])
            self._end_group()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._reading, _CHUNK):
                self._buffer += chunk
                if len(self._buffer) > LONGEST_MESSAGE:
                    return
            # Whoever closes the pipe has nothing more to say, and a poll would give it again and again.
            with contextlib.suppress(KeyError):
                self._poller.unregister(self._reading)

    def _used(self) -> int:
        try:
            return memory.used_bytes(os.pread(self._status, _CHUNK, 0))
        except OSError:
            return 0  # it is over

    def _kill(self, ended: Ended) -> Ended:
        if self._ended is None:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self._end_group()
            self._ended = ended
        return self._ended

    def _end_group(self) -> None:
        """Ends the processes that the child may have left."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process, signal.SIGKILL)


def _ending(status: int) -> Ended:
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return Ended(How.DONE)
    if code in (_OUT_OF_MEMORY, -signal.SIGKILL):
        # Nobody but the kernel sends this signal, to whoever has most when memory runs out.
        return Ended(How.TOO_MUCH)
    return Ended(How.CRASHED, -code) if code < 0 else Ended(How.FAILED, code)


def _become_child(parent: int, work: Callable[[Tell], object], writing: int, memory_bytes: int) -> NoReturn:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(code)
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if _log.isEnabledFor(logging.DEBUG):
            faulthandler.enable(all_threads=True)
        else:
            faulthandler.disable()
        _limit(memory_bytes)
        work(lambda message: _write(writing, message))
        code = 0
    except MemoryError:
        code = _OUT_OF_MEMORY
    except BaseException:
        # The outermost loop of this process.
        _log.exception("a child failed")
    finally:
        logging.shutdown()
        # Not sys.exit: the parent's exit handlers are not the child's.
        os._exit(code)


def _limit(memory_bytes: int) -> None:
    with contextlib.suppress(OSError):
        # If memory does run out, the kernel ends this process first.
        Path("/proc/self/oom_score_adj").write_text("1000")
    reserved = memory.reserved_bytes() + _RESERVES * memory_bytes + _RESERVED_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (reserved, reserved))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(writing: int, message: bytes) -> None:
    whole = memoryview(message.replace(b"\n", b" ") + b"\n")
    while whole:
        whole = whole[os.write(writing, whole) :]
