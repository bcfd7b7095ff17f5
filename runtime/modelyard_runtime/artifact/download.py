"""All files of an artifact, and single files beside it, from their source to disk.

Called by `artifact.fetch`. Many small files come side by side, a large one in spans side by side: what is waited for is
the network, hardly ever this process.
"""

import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from modelyard_runtime import cpu, errors, memory
from modelyard_runtime.artifact import digest as digests
from modelyard_runtime.artifact import progress, retrying, source, transfer, volume

_MOST_CONNECTIONS = 4  # of one large file; more is no faster and strains a server that many pods ask at once
_SMALL_FILES_AT_ONCE = 8
_SCARCE_MEMORY_BYTES = 256 * 1024**2


@dataclasses.dataclass(frozen=True, slots=True)
class Downloaded:
    """What has arrived."""

    listing: source.Listing
    digest: str
    size_bytes: int


def fetch_artifact(
    origin: source.Source, staged: Path, limit_bytes: int, shown: str, sleep: retrying.Sleep = time.sleep
) -> Downloaded:
    """Writes an artifact to `staged`, a file or a folder, and gives its digest and size; raises `StartFailure`."""
    with _naming(shown):
        return _fetch_artifact(origin, staged, limit_bytes, shown, sleep)


def _fetch_artifact(
    origin: source.Source, staged: Path, limit_bytes: int, shown: str, sleep: retrying.Sleep
) -> Downloaded:
    means = transfer.Means(volume.Budget(limit_bytes), progress.Progress(shown), sleep)
    listing = retrying.run(origin.list_files, sleep)
    known_bytes = sum(file.size_bytes or 0 for file in listing.files)
    volume.check_size(known_bytes, limit_bytes)
    means.progress.total_bytes = known_bytes or None
    if listing.is_folder:
        digest = _fetch_folder(origin, listing, staged, means)
    else:
        _make_folder(staged.parent)
        digest = transfer.fetch_file(origin, listing.files[0], staged, means, connections()).digest
    means.progress.finish()
    return Downloaded(listing, digest, means.progress.done_bytes)


def fetch_file(
    origin: source.Source, target: Path, limit_bytes: int, shown: str, sleep: retrying.Sleep = time.sleep
) -> source.Listing:
    """Writes the one file that a URI names beside the artifact; a folder is left alone, and told by the listing."""
    with _naming(shown):
        listing = retrying.run(origin.list_files, sleep)
        if not listing.is_folder:
            means = transfer.Means(volume.Budget(limit_bytes), progress.Progress(shown), sleep)
            transfer.fetch_file(origin, listing.files[0], target, means)
    return listing


@contextlib.contextmanager
def _naming(shown: str) -> Iterator[None]:
    """Lets every failure name the URI: what goes wrong between a server and the disk does not know it."""
    try:
        yield
    except errors.StartFailure as failure:
        if shown in failure.message:
            raise
        raise errors.StartFailure(failure.reason, f"{shown}: {failure.message}") from failure


def connections() -> int:
    """Gives how many connections one file may have: few where the container has little memory or CPU."""
    if memory.free_bytes() < _SCARCE_MEMORY_BYTES:
        return 1
    return min(_MOST_CONNECTIONS, 2 * cpu.allowed_threads())


def _fetch_folder(origin: source.Source, listing: source.Listing, staged: Path, means: transfer.Means) -> str:
    written: dict[str, transfer.Written] = {}
    small = [file for file in listing.files if (file.size_bytes or 0) <= transfer.SPAN_BYTES]
    for file in listing.files:
        _make_folder((staged / file.path).parent)
    at_once = min(_SMALL_FILES_AT_ONCE, 2 * connections())
    with concurrent.futures.ThreadPoolExecutor(at_once, "download") as pool:
        tasks = {
            pool.submit(transfer.fetch_file, origin, file, staged / file.path, means): file.path
            for file in small
        }
        try:
            for task in concurrent.futures.as_completed(tasks):
                written[tasks[task]] = task.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    for file in listing.files:
        if file.path not in written:
            written[file.path] = transfer.fetch_file(origin, file, staged / file.path, means, connections())
    return digests.of_entries((path, one.digest) for path, one in written.items())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise volume.disk_failure(error) from error
