"""Starts the cluster's processes so that they outlive us, and ends exactly those, even after a crash.

Called by the start and the removal of an instance. Three things make a process ours: it was recorded with its start
time (a number alone may be another's by now), it carries our mark in its environment, or it lives in the instance's
network namespace or cgroup. Nothing else is ever ended. Pods' processes are found by cgroup; everything we start by its
mark.
"""

import contextlib
import dataclasses
import json
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from devcluster import cgroups, config, errors

# The environment variable that marks every process of an instance; its value is the instance's folder.
MARK = "MODELYARD_DEVCLUSTER_INSTANCE"
_PROC = Path("/proc")
_END_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that was started.

    Attributes:
        start_ticks: when it started, in clock ticks since the machine did.
        boot: which run of the machine that was.
    """

    name: str
    pid: int
    start_ticks: int
    boot: str


def start(
    layout: config.Layout, name: str, command: list[str], environ: Mapping[str, str] | None = None
) -> Process:
    """Start `command` in a session of its own, writing to the log NAME.log, and record it.

    Args:
        layout: of the instance.
        name: of the component.
        command: program and arguments.
        environ: what it gets beside our own environment.
    """
    layout.logs.mkdir(parents=True, exist_ok=True)
    layout.processes.mkdir(parents=True, exist_ok=True)
    log = layout.logs / f"{name}.log"
    pid = os.posix_spawnp(
        command[0],
        command,
        {**os.environ, **(environ or {}), MARK: str(layout.root)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        # Away from our terminal: Ctrl-C is for us, and we end the cluster in order.
        setsid=True,
        # Python ignores it, and children inherit what is ignored.
        setsigdef=[signal.SIGPIPE],
    )
    started = Process(name, pid, _start_ticks(pid) or 0, boot_id())
    record = layout.processes / f"{name}.json"
    record.write_text(json.dumps(dataclasses.asdict(started)))
    return started


def this_process() -> Process:
    """Give the process that we are."""
    return Process("owner", os.getpid(), _start_ticks(os.getpid()) or 0, boot_id())


def recorded(layout: config.Layout) -> list[Process]:
    """List the recorded processes; a record that a killed start left half written is passed over."""
    found = []
    for path in sorted(layout.processes.glob("*.json")):
        with contextlib.suppress(json.JSONDecodeError):
            found.append(Process(**json.loads(path.read_text())))
    return found


def is_alive(process: Process) -> bool:
    """Tell whether this very process still runs."""
    return process.boot == boot_id() and _start_ticks(process.pid) == process.start_ticks


def require_alive(layout: config.Layout) -> None:
    """Raise for the first recorded process that has ended, with the end of its log."""
    for process in recorded(layout):
        if not is_alive(process):
            raise errors.with_log_tail(
                f"{process.name} ended by itself.", layout.logs / f"{process.name}.log"
            )


def members(layout: config.Layout) -> set[int]:
    """Give the numbers of all running processes of an instance, however they came to be."""
    ours = {process.pid for process in recorded(layout) if is_alive(process)} | cgroups.members(layout.cgroup)
    namespace = _namespace_identity(layout.namespace)
    mark = f"{MARK}={layout.root}".encode()
    for pid in _all_pids():
        if _is_marked(pid, mark) or (
            namespace is not None and _identity(_PROC / str(pid) / "ns/net") == namespace
        ):
            ours.add(pid)
    return ours - {os.getpid()}


def end_all(layout: config.Layout) -> int:
    """End every process of an instance and wait until they are gone; give how many there were.

    Raises:
        DevclusterError: some did not end, which only a hanging disk or driver explains.
    """
    deadline = time.monotonic() + _END_SECONDS
    ended: set[int] = set()
    # Again until none is left: a supervisor may have started another one meanwhile.
    while remaining := members(layout):
        if time.monotonic() > deadline:
            raise errors.DevclusterError(
                f"processes {', '.join(map(str, sorted(remaining)))} of instance {layout.name} do not end; "
                "they wait for the disk or a device. Run `down` again when it answers."
            )
        ended |= _kill(layout, remaining, deadline)
    return len(ended)


def boot_id() -> str:
    """Give what tells this run of the machine from every other."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _kill(layout: config.Layout, pids: Iterable[int], deadline: float) -> set[int]:
    """Kill those of `pids` that are ours, wait for their ends, and give which they were.

    The descriptors stand for the processes themselves: a number that has come to mean another process since it was
    listed is either no member any more, or its descriptor leads nowhere.
    """
    with _descriptors(pids) as descriptors:
        confirmed = members(layout)
        waiting = {descriptor for pid, descriptor in descriptors.items() if pid in confirmed}
        for descriptor in waiting:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        while waiting and time.monotonic() < deadline:
            readable, _, _ = select.select(waiting, [], [], max(0.0, deadline - time.monotonic()))
            waiting -= set(readable)
    for pid in pids:
        # Only those that this process started itself are left as zombies for it to collect.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return set(pids) & confirmed


@contextlib.contextmanager
def _descriptors(pids: Iterable[int]) -> Iterator[dict[int, int]]:
    opened: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                opened[pid] = os.pidfd_open(pid)
        yield opened
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def _start_ticks(pid: int) -> int | None:
    """Give when a process started; None when it does not run (any more)."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may contain blanks and brackets; what follows the last bracket has fixed places.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _all_pids() -> list[int]:
    return [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()]


def _is_marked(pid: int, mark: bytes) -> bool:
    try:
        environ = (_PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return mark in environ.split(b"\0") and _start_ticks(pid) is not None


def _namespace_identity(path: Path) -> tuple[int, int] | None:
    """Give what tells the instance's network namespace from all others; None when its file holds none."""
    found = _identity(path)
    # Before the namespace is mounted over it, the file is an ordinary one of the disk.
    return found if found is not None and found[0] == _namespace_device() else None


def _namespace_device() -> int:
    return (_PROC / "self/ns/net").stat().st_dev


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
