"""How much memory a child may use: what the container's limit, or else the node, has left, short of a margin.

`trial` asks before it starts a child, `child` while it runs; `warmup` and `loading` ask what an error means. It only
reads files of /proc and /sys and must never import NumPy: the process that supervises a child stays small.
"""

from collections.abc import Iterator
from pathlib import Path

from modelyard_runtime import errors, lifecycle

LEAST_BYTES = 64 * 1024**2
# The kernel ends a container that reaches its limit, parent and all. This stays free for the parent, for page tables,
# and for what a child can fill between two looks at it: with one thread some 15 MiB, more with more.
_MARGIN_BYTES = 64 * 1024**2
_MARGIN_SHARE = 0.1
_NO_LIMIT = 1 << 60  # version 1 of cgroups says "none" as a number near 2^63
# What libraries in C++ say when they got no memory; those in Python raise MemoryError.
_EXHAUSTED = ("bad_alloc", "bad allocation", "allocate memory", "out of memory", "RESOURCE_EXHAUSTED")


def allowed_bytes(root: Path = Path("/")) -> int:
    """Gives the memory that a child may use now without its container, or its node, running out."""
    return allowance(free_bytes(root))


def allowance(free: int) -> int:
    """Gives the part of the free memory that a child may use; never so little that nothing could run."""
    return max(free - max(_MARGIN_BYTES, int(free * _MARGIN_SHARE)), LEAST_BYTES)


def free_bytes(root: Path = Path("/")) -> int:
    """Gives the memory that nobody uses: of the container's limit or of the node, whichever is less."""
    free = _available(root)
    for limit, used in (_second_version(root), _first_version(root)):
        if limit is not None and limit < _NO_LIMIT:
            free = min(free, limit - used)
    return max(free, 0)


def used_bytes(status: bytes) -> int:
    """Gives what a process holds that the kernel can't take back, from its /proc/<pid>/status."""
    kilobytes = 0
    for line in status.splitlines():
        if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:")):
            kilobytes += int(line.split()[1])
    return kilobytes * 1024


def reserved_bytes(root: Path = Path("/")) -> int:
    """Gives how much this process has reserved to write to, used or not: what RLIMIT_DATA counts."""
    for line in (root / "proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def is_exhaustion(error: BaseException) -> bool:
    """Says whether an error, or one that it came from, is about memory that there was not."""
    return any(
        isinstance(one, MemoryError) or any(words in str(one) for words in _EXHAUSTED)
        for one in _chain(error)
    )


def doing(stage: lifecycle.Stage) -> str:
    """Gives in words what a process that starts is doing, as the subject of a sentence."""
    if stage is lifecycle.Stage.LOADING:
        return "loading the model"
    return "the model's first predictions (of 1 row, of 64, and of the samples)"


def exceeded(stage: lifecycle.Stage, allowed: int | None = None) -> errors.StartFailure:
    """Gives the failure of a start that wanted more than was allowed, or than there was."""
    limit = "there is" if allowed is None else f"the {allowed // 1024**2} MiB that there are for it"
    return errors.StartFailure(
        errors.Reason.LIMIT_EXCEEDED,
        f"{doing(stage)} needed more memory than {limit}; raise spec.resources.limits.memory or serve a smaller model; "
        "if the model should be small, its file is damaged or made to do harm",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _available(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return LEAST_BYTES


def _second_version(root: Path) -> tuple[int | None, int]:
    """Gives the limit and the use of the own group in version 2 of cgroups; no limit where there is no such group."""
    group = _own(root, "0::", "sys/fs/cgroup")
    figures = _figures(group / "memory.stat")
    used = _number(group / "memory.current") or 0
    return _number(group / "memory.max"), used - _cached(figures, "file", "shmem")


def _first_version(root: Path) -> tuple[int | None, int]:
    """Gives the same in version 1; its figures know the limits of the groups above as well."""
    group = _own(root, ":memory:", "sys/fs/cgroup/memory")
    figures = _figures(group / "memory.stat")
    limits = (_number(group / "memory.limit_in_bytes"), figures.get("hierarchical_memory_limit"))
    used = _number(group / "memory.usage_in_bytes") or 0
    known = [limit for limit in limits if limit is not None]
    return min(known, default=None), used - _cached(figures, "total_cache", "total_shmem")


def _cached(figures: dict[str, int], file: str, shared: str) -> int:
    """Gives the page cache, which the kernel takes back for whoever needs memory; files in memory are no part of it."""
    return max(figures.get(file, 0) - figures.get(shared, 0), 0)


def _own(root: Path, mark: str, mount: str) -> Path:
    """Gives the directory of the process's own group; in a container it is the mount itself."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, found, path = line.partition(mark)
        own = root / mount / path.lstrip("/")
        if found and own.is_dir():
            return own
    return root / mount


def _figures(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None  # "max", or no such file


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
