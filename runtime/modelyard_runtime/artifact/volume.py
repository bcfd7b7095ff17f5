"""The volume that an artifact is written to: how many bytes may go there, and what a full or broken one means.

Used by whatever writes there. What may come out of an archive beyond that is ruled by `archives.limits`. Pure but for
the free space it asks for.
"""

import errno
import os
import threading

from modelyard_runtime import errors


class Budget:
    """The bytes that an artifact may still have; taken by several transfers at once."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, size_bytes: int) -> None:
        """Takes bytes; raises `StartFailure` (ArtifactTooLarge) when there are not so many left."""
        with self._lock:
            self._taken += size_bytes
            taken = self._taken
        check_size(taken, self.limit_bytes)

    def give_back(self, size_bytes: int) -> None:
        """Gives bytes back that have to come again."""
        with self._lock:
            self._taken -= size_bytes


def check_size(size_bytes: int, limit_bytes: int) -> None:
    """Raises `StartFailure` (ArtifactTooLarge) when `size_bytes` is over the limit."""
    if size_bytes > limit_bytes:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_TOO_LARGE,
            f"the artifact has more than the {limit_bytes} bytes that this deployment allows "
            "(MODELYARD_MAX_ARTIFACT_BYTES); name a smaller artifact or ask the administrator to raise the limit",
        )


def check_space(descriptor: int, size_bytes: int) -> None:
    """Raises `StartFailure` (ArtifactTooLarge) when the volume of an open file has not so many bytes left."""
    try:
        found = os.fstatvfs(descriptor)
        free_bytes = found.f_bavail * found.f_frsize
    except OSError as error:
        raise disk_failure(error) from error
    if size_bytes > free_bytes:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_TOO_LARGE,
            f"the artifact does not fit: it has {size_bytes} bytes, and the artifact volume has {free_bytes} left",
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
