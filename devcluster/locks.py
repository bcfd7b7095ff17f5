"""Keeps two runs from doing the same thing at the same time, and survives either being killed.

Called around building, starting and removing. The lock is the kernel's (flock): it is gone with its holder, so that no
stale lock has ever to be recognised.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from devcluster import errors, progress


@contextlib.contextmanager
def hold(path: Path, purpose: str, wait: bool) -> Iterator[None]:
    """Hold the lock `path` while the block runs.

    Args:
        path: the lock file; made when missing, removed afterwards.
        purpose: what its holder does, as in "builds helm"; told to whoever finds it held.
        wait: wait for the holder, or refuse.

    Raises:
        BusyError: it is held and `wait` is false.
    """
    descriptor = _acquire(path, purpose, wait)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the lock files in `folder` that nobody holds: a killed holder leaves its file, though not its lock."""
    for path in folder.glob("*.lock"):
        with contextlib.suppress(errors.BusyError), hold(path, "", wait=False):
            pass


def _acquire(path: Path, purpose: str, wait: bool) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # a removal took the empty folder away again at this very moment
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "?"
            if not wait:
                os.close(descriptor)
                raise errors.BusyError(
                    f"another run (process {holder}) {purpose} at this moment; wait for it or end it, then try again"
                ) from None
            progress.line("doing", f"waiting for another run (process {holder}), which {purpose}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The holder before us may have removed the file: then our lock is on a name that nobody will open again.
        if _is_same_file(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            return descriptor
        os.close(descriptor)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
