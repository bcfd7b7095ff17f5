"""Loads one file in a forked child that may use little memory and time, and looks at what it left behind."""

import json
import os
import resource
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from modelyard_runtime import errors

# Of the processor, which others on the machine don't take away; that much more time may pass on a busy one.
CPU_SECONDS = 20
_SECONDS = 10.0 * CPU_SECONDS
MEMORY_BYTES = 200 * 1024**2


class Outcome(NamedTuple):
    """How a load ended: the reason of its failure, its words, and how much more memory the process had at most."""

    reason: str
    message: str
    memory_bytes: int
    seconds: float


def run(load: Callable[[], Any], is_limited: bool = True) -> Outcome:
    """What became of `load` in a child process."""
    readable, writable = os.pipe()
    started = time.monotonic()
    process = os.fork()
    if process == 0:
        os.close(readable)
        _become_child(load, writable, is_limited)
    os.close(writable)
    content = _read(readable, started)
    seconds = time.monotonic() - started
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if not content:
        code = os.waitstatus_to_exitcode(status)
        ended = "hung" if seconds >= _SECONDS or code == -signal.SIGXCPU else f"ended with {code}"
        return Outcome(ended, "", 0, seconds)
    reason, message, memory_bytes = json.loads(content)
    return Outcome(reason, message, memory_bytes, seconds)


def _read(readable: int, started: float) -> bytes:
    """Reads until the child has ended, or for as long as it may take."""
    content = b""
    with os.fdopen(readable, "rb", 0) as opened:
        poller = select.poll()
        poller.register(opened, select.POLLIN | select.POLLHUP)
        while (left := _SECONDS - (time.monotonic() - started)) > 0:
            if poller.poll(left * 1000):
                piece = opened.read(65536)
                if not piece:
                    break
                content += piece
    return content


def _become_child(load: Callable[[], Any], writable: int, is_limited: bool) -> None:
    try:
        os.closerange(0, 3)
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = _memory("VmRSS")
        if is_limited:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
            data = _memory("VmData") + 4 * MEMORY_BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (data, data))
        reason, message = "loaded", ""
        try:
            load()
        except errors.StartFailure as failure:
            reason, message = failure.reason.value, failure.message
        except BaseException as error:
            reason, message = type(error).__name__, str(error)
        outcome = (reason, message, _memory("VmHWM") - before)
        os.write(writable, json.dumps(outcome).encode())
    finally:
        os._exit(0)


def _memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def listener() -> socket.socket:
    """A socket on loopback that a file might connect to."""
    opened = socket.create_server(("127.0.0.1", 0))
    opened.setblocking(False)
    return opened


def was_asked(opened: socket.socket) -> bool:
    """Says whether somebody has connected; forgets it."""
    try:
        opened.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def entries(folder: Path) -> set[str]:
    """The names in a folder."""
    return {one.name for one in folder.iterdir()}


def leaves_a_trace(folder: Path, before: set[str], opened: socket.socket) -> bool:
    """Says whether something was put into the folder or connected, within a moment; takes it away again."""
    for _ in range(50):
        found = entries(folder) - before
        if found or was_asked(opened):
            for one in found:
                path = folder / one
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return True
        time.sleep(0.01)
    return False
