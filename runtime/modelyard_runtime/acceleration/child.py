"""Runs a function in a forked child with limits of time and memory: what kills the child is told, and harms nobody.

Called by the `prepare` command around converters, which are native code, may crash, and may want more than there is. A
fork, because the child needs the model that the parent has loaded, and because loading it again would take as long as
all the rest. It must be called before anything computed in several threads: OpenMP doesn't survive a fork.
"""

import logging
import os
import resource
import select
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_log = logging.getLogger(__name__)
_THREADS = 64  # more than converters use
_LEAST_BYTES = 64 * 1024**2
_SHARE = 0.7  # of the memory that is free; the rest is the parent's and the page cache's


def run(work: Callable[[], object], seconds: float, memory_bytes: int) -> str | None:
    """Runs `work` in a child; gives None when it has returned, else in words how it ended."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads at a fork: those of BLAS are idle, and it sees to itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = os.fork()
    if process == 0:
        _become_child(work, seconds, memory_bytes)
    started = time.monotonic()
    handle = os.pidfd_open(process)
    try:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        is_over = bool(poller.poll(max(0.0, seconds - (time.monotonic() - started)) * 1000))
        if not is_over:
            os.kill(process, signal.SIGKILL)
    finally:
        os.close(handle)
    _, status = os.waitpid(process, 0)
    if not is_over:
        return f"it took longer than {seconds:.0f} s"
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return None
    if code == _OUT_OF_MEMORY:
        return f"it needed more memory than the {memory_bytes // 1024**2} MiB there were"
    return f"it crashed ({signal.Signals(-code).name})" if code < 0 else f"it failed (exit code {code})"


_OUT_OF_MEMORY = 12


def _become_child(work: Callable[[], object], seconds: float, memory_bytes: int) -> NoReturn:
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        data = _data_bytes() + memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # For a child whose parent is gone; the parent counts time, and this counts that of every thread.
        most = _THREADS * (int(seconds) + 1)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        work()
        code = 0
    except MemoryError:
        code = _OUT_OF_MEMORY
    except BaseException:
        # The outermost loop of this process.
        _log.exception("preparing failed")
    finally:
        logging.shutdown()
        # Not sys.exit: the parent's exit handlers are not the child's.
        os._exit(code)


def free_bytes(root: Path = Path("/")) -> int:
    """Gives the memory a child may use: a share of what the container's limit, or else the node, has left."""
    limit = _number(root / "sys/fs/cgroup/memory.max")
    used = _number(root / "sys/fs/cgroup/memory.current")
    free = [_available(root)]
    if limit is not None and used is not None:
        free.append(limit - used)
    return max(int(min(free) * _SHARE), _LEAST_BYTES)


def _available(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _LEAST_BYTES


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # no version 2 cgroup, or "max"
        return None


def _data_bytes() -> int:
    """Gives the size of this process's own memory, as the limit counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
