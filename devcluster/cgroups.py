"""The cgroup that holds an instance's pods, at the top of every hierarchy of the machine.

Called by the start and the removal of an instance. Cgroups outlive their processes, so they must be removed by name; on
a machine with the older layout (version 1) there is one tree for each controller, and a unified one beside them.
"""

import contextlib
import os
import time
from pathlib import Path

from devcluster import errors

ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS_V2 = ("cpuset", "cpu", "io", "memory", "pids", "hugetlb")
_REMOVE_SECONDS = 10.0


def is_unified(root: Path = ROOT) -> bool:
    """Tell whether the machine has cgroups of version 2 only."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = ROOT) -> list[Path]:
    """List the top of every hierarchy; names that are links to another one only once."""
    if is_unified(root):
        return [root]
    return sorted({path.resolve() for path in root.iterdir() if path.is_dir()})


def create(name: str, root: Path = ROOT) -> None:
    """Make cgroup `name` in every hierarchy, ready for groups below it."""
    if is_unified(root):
        available = (root / "cgroup.controllers").read_text().split()
        _enable(root, available)
        (root / name).mkdir(exist_ok=True)
        _enable(root / name, available)
        return
    for top in hierarchies(root):
        group = top / name
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # A new cpuset is empty and takes no process until it has processors and memory.
            if (group / setting).exists():
                (group / setting).write_text((top / setting).read_text())


def members(name: str, root: Path = ROOT) -> set[int]:
    """Give the numbers of all processes in cgroup `name` and below, in any hierarchy."""
    found: set[int] = set()
    for group in _groups(name, root):
        with contextlib.suppress(FileNotFoundError, OSError):
            found |= {int(line) for line in (group / "cgroup.procs").read_text().split()}
    # 0 stands for a process of another process namespace, which is none of ours.
    return found - {0}


def remove(name: str, root: Path = ROOT) -> None:
    """Remove cgroup `name` and everything below it, in every hierarchy.

    Raises:
        DevclusterError: one stays busy although its processes are gone.
    """
    deadline = time.monotonic() + _REMOVE_SECONDS
    while groups := _groups(name, root):
        for group in groups:
            # Busy for some milliseconds after its last process has ended.
            with contextlib.suppress(OSError):
                group.rmdir()
        if time.monotonic() > deadline:
            raise errors.DevclusterError(f"the cgroup {groups[-1]} stays busy; run `down` again")


def _groups(name: str, root: Path) -> list[Path]:
    """List the group and all below it, the deepest first."""
    if not root.is_dir():
        return []
    found = []
    for top in hierarchies(root):
        if (top / name).is_dir():
            found += [Path(folder) for folder, _, _ in os.walk(top / name, topdown=False)]
    return found


def _enable(group: Path, available: list[str]) -> None:
    wanted = [controller for controller in _CONTROLLERS_V2 if controller in available]
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in wanted))
