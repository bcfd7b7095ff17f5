"""An archive on disk → a folder beside it.

Called by `artifact.fetch` once the archive's digest (and signature) is right. The archive itself is then removed: the
volume has room for it and its content, not for more. It must never be given bytes that nobody has verified.
"""

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path

from modelyard_runtime.artifact import volume
from modelyard_runtime.artifact.archives import compression, folder, kinds, limits, tarball, zipfiles

_log = logging.getLogger(__name__)
_REPORT_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, slots=True)
class Unpacked:
    """What has become of an archive: where its content lies, its digest and the bytes of all files."""

    path: Path
    digest: str
    size_bytes: int


def unpack(archive: Path, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> Unpacked | None:
    """Unpacks an archive into a new folder beside it and removes it; gives None when the file is no archive.

    A single folder at the top that holds everything is taken for the content itself. `max_bytes` is what archive and
    content may have together. Raises `StartFailure`: ArchiveRefused, naming the entry.
    """
    kind = kinds.find(archive.name)
    if kind is None or not archive.is_file():
        return None
    archive_bytes = archive.stat().st_size
    budget = ReportingBudget(limits.Limits(max(0, max_bytes - archive_bytes)), archive_bytes, clock)
    target = archive.with_name(kinds.folder_name(archive.name))
    packed_folder = archive.with_name(f"{archive.name}.unpacked")
    with folder.Folder(packed_folder, budget).opened() as into:
        unpack_kind(kind, archive, into)
    if into.is_empty:
        raise limits.damage("it holds no file")
    top = into.top()
    try:
        archive.unlink()
        move(packed_folder, top, target)
    except OSError as error:
        raise volume.disk_failure(error) from error
    budget.finish()
    return Unpacked(target, into.digest(top), budget.file_bytes)


def unpack_kind(kind: kinds.Kind, archive: Path, into: folder.Folder) -> None:
    """Writes what is in an archive into a folder; raises `StartFailure`."""
    if kind is kinds.Kind.ZIP:
        zipfiles.unpack(archive, into)
        return
    with archive.open("rb") as file, compression.reading(kind, file) as read:
        tarball.unpack(read, into)


def move(packed_folder: Path, top: str | None, target: Path) -> None:
    """Brings a folder that was filled, or the one at its top, to its place; raises `OSError`."""
    if top is None:
        packed_folder.rename(target)
        return
    (packed_folder / top).rename(target)
    # What is left are folders without a file.
    for path in sorted(packed_folder.rglob("*"), reverse=True):
        path.rmdir()
    packed_folder.rmdir()


class ReportingBudget(limits.Budget):
    """Tells the log, every few seconds, how far it has come."""

    def __init__(
        self, allowed: limits.Limits, archive_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(allowed, archive_bytes)
        self._clock = clock
        self._started_at = self._reported_at = clock()

    def add_bytes(self, name: str, size_bytes: int) -> None:
        """Counts bytes of a file; logs a line when the last one is some seconds old."""
        super().add_bytes(name, size_bytes)
        if self._clock() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = self._clock()
            _log.info("unpacking", extra={"fields": self._figures()})

    def finish(self) -> None:
        """Logs the totals."""
        _log.info("unpacked", extra={"fields": self._figures()})

    def _figures(self) -> dict[str, float | int]:
        elapsed = max(self._clock() - self._started_at, 1e-6)
        rate = self.file_bytes / elapsed / 1024**2
        return {
            "entries": self.entries,
            "bytes": self.file_bytes,
            "seconds": round(elapsed, 2),
            "mib_per_second": round(rate, 1),
        }
