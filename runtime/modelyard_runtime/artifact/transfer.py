"""One file from a source to disk: hashed while written, bounded in size and memory, reported in the log.

Called by `artifact.fetch`. The first broken rule ends the transfer; what was written until then stays in the staging
folder, which nobody reads.
"""

import dataclasses
import errno
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import source

_log = logging.getLogger(__name__)
_REPORT_SECONDS = 3.0


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """What one transfer left on disk."""

    digest: str
    size_bytes: int


class Progress:
    """Tells the log, every few seconds, how far a fetch has come."""

    def __init__(self, shown: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock
        self._started_at = clock()
        self._reported_at = self._started_at
        self.done_bytes = 0
        self.total_bytes: int | None = None

    def add(self, size_bytes: int) -> None:
        """Counts bytes that have arrived; logs a line when the last one is some seconds old."""
        self.done_bytes += size_bytes
        now = self._clock()
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            _log.info("fetching", extra={"fields": {"uri": self._shown, **self._figures(now)}})

    def finish(self) -> None:
        """Logs the totals."""
        _log.info("fetched", extra={"fields": {"uri": self._shown, **self._figures(self._clock())}})

    def _figures(self, now: float) -> dict[str, float | int]:
        elapsed = max(now - self._started_at, 1e-6)
        rate = self.done_bytes / elapsed
        figures: dict[str, float | int] = {
            "bytes": self.done_bytes,
            "seconds": round(elapsed, 2),
            "mib_per_second": round(rate / 1024**2, 1),
        }
        if self.total_bytes is not None and rate > 0:
            figures["total_bytes"] = self.total_bytes
            figures["remaining_seconds"] = round(max(self.total_bytes - self.done_bytes, 0) / rate, 1)
        return figures


def write_file(content: source.Content, target: Path, limit_bytes: int, progress: Progress) -> Written:
    """Writes a file's content and gives its digest and size.

    Raises `StartFailure`: ArtifactTooLarge past `limit_bytes` or on a full disk, FetchFailed when less arrives than was
    announced.
    """
    check_size(content.size_bytes or 0, limit_bytes)
    hasher = hashlib.sha256()
    size_bytes = 0
    try:
        with target.open("wb") as file:
            for chunk in content.chunks:
                length = memoryview(chunk).nbytes
                size_bytes += length
                check_size(size_bytes, limit_bytes)
                hasher.update(chunk)
                file.write(chunk)
                progress.add(length)
    except OSError as error:
        raise disk_failure(error) from error
    if content.size_bytes is not None and size_bytes != content.size_bytes:
        raise errors.StartFailure(
            errors.Reason.FETCH_FAILED,
            f"the transfer ended after {size_bytes} of {content.size_bytes} bytes",
        )
    return Written(f"sha256:{hasher.hexdigest()}", size_bytes)


def check_digest(file: source.File, written: Written) -> Written:
    """Gives what was written; raises `StartFailure` (FetchFailed) when the place itself says another digest of it."""
    if file.digest is not None and written.digest != file.digest:
        raise errors.StartFailure(
            errors.Reason.FETCH_FAILED,
            f"{file.path or 'the file'} arrived with the digest {written.digest}, but where it comes from lists it with"
            f" {file.digest}: it is damaged there or was on the way; publish it again if that stays so",
        )
    return written


def check_size(size_bytes: int, limit_bytes: int) -> None:
    """Raises `StartFailure` (ArtifactTooLarge) when `size_bytes` is over the limit."""
    if size_bytes > limit_bytes:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_TOO_LARGE,
            f"the artifact has more than the {limit_bytes} bytes that this deployment allows "
            "(MODELYARD_MAX_ARTIFACT_BYTES); name a smaller artifact or ask the administrator to raise the limit",
        )


def disk_failure(error: OSError) -> errors.StartFailure:
    """Gives the failure that an error of the artifact volume stands for."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return errors.StartFailure(
            errors.Reason.ARTIFACT_TOO_LARGE,
            "the artifact does not fit: no space left on the artifact volume",
        )
    return errors.StartFailure(
        errors.Reason.SETTINGS_INVALID,
        f"MODELYARD_ARTIFACT_DIR: the artifact volume can't be written: {error.strerror}",
    )
