"""A process with everything it has started, as /proc shows it: servers have workers, and all of them count.

Used by `runtime_measures`. A process is known by its id and its start, so that a recycled id is never mistaken for it.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_KIB_PER_MEBIBYTE = 1024


class Member(NamedTuple):
    """One process of a tree."""

    pid: int
    parent: int
    started: int
    cpu_ticks: int


def members(root: int) -> list[Member]:
    """Give the process `root` and all its descendants that live."""
    everyone = [found for entry in Path("/proc").iterdir() if entry.name.isdigit() if (found := _look(entry))]
    tree, known = [each for each in everyone if each.pid == root], {root}
    while following := [each for each in everyone if each.parent in known and each.pid not in known]:
        tree += following
        known |= {each.pid for each in following}
    return tree


def cpu_seconds(root: int) -> float:
    """Give the processor time of the tree so far, in user and kernel."""
    return sum(each.cpu_ticks for each in members(root)) / _TICKS_PER_SECOND


def memory_mebibytes(root: int) -> float:
    """Give the tree's proportional set size: pages that several processes share are divided among them."""
    return sum(_pss_kibibytes(each.pid) for each in members(root)) / _KIB_PER_MEBIBYTE


def kill(tree: list[Member]) -> None:
    """End what still lives of a tree that was listed earlier."""
    for each in tree:
        now = _look(Path("/proc") / str(each.pid))
        if now is not None and now.started == each.started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)


def _look(entry: Path) -> Member | None:
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Member(
        int(entry.name),
        parent=int(fields[1]),
        started=int(fields[19]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
    )


def _pss_kibibytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
