"""How many threads numerical libraries may use: what the container may use, not what the node has.

`__main__` calls `limit_threads` before anything imports NumPy: BLAS and OpenMP read their variables once, at import.
A library with one thread per core of a 64-core node, inside a limit of one CPU, is throttled to a crawl.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

# loky's is what joblib counts with: it bounds a forest that was saved with n_jobs=-1. NPROC is what XLA, Keras' engine
# here, sizes its pool by.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "NPROC",
)


def limit_threads(environment: MutableMapping[str, str], root: Path = Path("/"), workers: int = 1) -> int:
    """Sets the thread variables that nobody has set and gives the number of threads.

    Several workers get one thread each. They are forks of a process that has loaded and tried the model, and a pool of
    threads doesn't live through a fork: whoever used it afterwards would wait for threads that are not there.
    """
    threads = allowed_threads(root, workers)
    if workers > 1:
        environment.update(dict.fromkeys(VARIABLES, "1"))
    for variable in VARIABLES:
        environment.setdefault(variable, str(threads))
    return threads


def allowed_threads(root: Path = Path("/"), workers: int = 1) -> int:
    """Gives the number of threads for libraries that take it as an argument and read no variable."""
    if workers > 1:
        return 1
    return thread_count(
        cpu_max=_read(_own_v2_group(root) / "cpu.max") or _read(root / "sys/fs/cgroup/cpu.max"),
        quota=_read(root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        period=_read(root / "sys/fs/cgroup/cpu/cpu.cfs_period_us"),
        available=len(os.sched_getaffinity(0)),
    )


def thread_count(cpu_max: str | None, quota: str | None, period: str | None, available: int) -> int:
    """Gives whole CPUs: the cgroup limit (version 2's `cpu.max`, else version 1's quota and period) or `available`.

    Rounded down: a thread too many is throttled together with all others, a thread too few costs its share once.
    """
    limits = cpu_max.split() if cpu_max else [quota or "-1", period or "100000"]
    if len(limits) == 2 and limits[0].isdigit() and limits[1].isdigit() and int(limits[1]) > 0:
        return max(1, min(available, int(limits[0]) // int(limits[1])))
    return max(1, available)


def _own_v2_group(root: Path) -> Path:
    """Gives the process's own cgroup directory where the container has no cgroup namespace."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        if line.startswith("0::/"):
            return root / "sys/fs/cgroup" / line.removeprefix("0::/")
    return root / "sys/fs/cgroup"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
