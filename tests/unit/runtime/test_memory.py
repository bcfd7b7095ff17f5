"""How much memory a child may use is told from the files that the kernel has for it, in both versions of cgroups."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelyard_runtime import errors, lifecycle, memory

MIB = 1024**2
MEMINFO = "MemTotal: 99999999 kB\nMemAvailable: 4194304 kB\n"
NO_LIMIT = "9223372036854771712"

# What lies where, and how much is free, in MiB.
FILES: dict[str, tuple[Mapping[str, str], int]] = {
    "no cgroup at all": ({}, 4096),
    "version 2 without a limit": (
        {"sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "5"}, 4096,
    ),
    "version 2": (
        {"sys/fs/cgroup/memory.max": f"{1024 * MIB}", "sys/fs/cgroup/memory.current": f"{100 * MIB}"}, 924,
    ),
    "version 2 with files in the page cache, which can go, and files in memory, which can't": (
        {
            "sys/fs/cgroup/memory.max": f"{1024 * MIB}",
            "sys/fs/cgroup/memory.current": f"{600 * MIB}",
            "sys/fs/cgroup/memory.stat": f"anon {50 * MIB}\nfile {500 * MIB}\nshmem {100 * MIB}\n",
        },
        824,
    ),
    "version 2 without a namespace of its own": (
        {
            "proc/self/cgroup": "0::/kubepods/pod1/c1\n",
            "sys/fs/cgroup/kubepods/pod1/c1/memory.max": f"{512 * MIB}",
            "sys/fs/cgroup/kubepods/pod1/c1/memory.current": f"{12 * MIB}",
        },
        500,
    ),
    "version 1 without a limit": (
        {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5",
        },
        4096,
    ),
    "version 1, whose own path is not seen from inside the container": (
        {
            "proc/self/cgroup": "5:cpu:/kubepods/x\n4:memory:/kubepods/x\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{1024 * MIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{600 * MIB}\n",
            "sys/fs/cgroup/memory/memory.stat": f"cache 1\ntotal_cache {500 * MIB}\ntotal_shmem {100 * MIB}\n",
        },
        824,
    ),
    "version 1 in a pod whose limit is lower": (
        {
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{100 * MIB}",
            "sys/fs/cgroup/memory/memory.stat": f"hierarchical_memory_limit {600 * MIB}\n",
        },
        500,
    ),
    "a limit above what the node has": (
        {"sys/fs/cgroup/memory.max": f"{1 << 45}", "sys/fs/cgroup/memory.current": "5"}, 4096,
    ),
    "more used than allowed": (
        {"sys/fs/cgroup/memory.max": f"{MIB}", "sys/fs/cgroup/memory.current": f"{2 * MIB}"}, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_free_is_what_the_container_or_the_node_has_left(case: str, tmp_path: Path) -> None:
    files, free = FILES[case]
    for name, content in {"proc/meminfo": MEMINFO, **files}.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    assert memory.free_bytes(tmp_path) == free * MIB
    assert memory.allowed_bytes(tmp_path) == memory.allowance(free * MIB)


@pytest.mark.parametrize(("free", "allowed"), [(0, 64), (100, 64), (256, 192), (1000, 900), (65536, 58982)])
def test_a_margin_stays_free(free: int, allowed: int) -> None:
    assert memory.allowance(free * MIB) // MIB == allowed


def test_the_real_files_are_read() -> None:
    assert memory.free_bytes() > 0
    assert memory.used_bytes(Path("/proc/self/status").read_bytes()) > 0
    assert memory.reserved_bytes() > 0


def _raised(*chain: Exception) -> Exception:
    """The last of the exceptions, each raised from the one before."""
    for cause, error in itertools.pairwise(chain):
        error.__cause__ = cause
    return chain[-1]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (_raised(MemoryError(), ValueError("no"), errors.ModelFailed("the model failed")), True),
        (_raised(RuntimeError("std::bad_alloc"), errors.InvalidInput("no")), True),
        (RuntimeError("Failed to allocate memory for requested buffer of size 40000000000"), True),
        (_raised(ValueError("two sizes differ"), errors.InvalidInput("no")), False),
    ],
)
def test_what_is_about_memory_is_known_by_its_cause_or_its_words(error: Exception, expected: bool) -> None:
    assert memory.is_exhaustion(error) is expected
    error.__cause__ = error.__cause__ or error  # a circle ends
    assert memory.is_exhaustion(error) is expected


def test_the_failure_names_the_limit_and_the_remedy() -> None:
    failure = memory.exceeded(lifecycle.Stage.LOADING, 900 * MIB)
    assert failure.reason is errors.Reason.LIMIT_EXCEEDED
    assert "900 MiB" in failure.message
    assert "spec.resources.limits.memory" in failure.message
