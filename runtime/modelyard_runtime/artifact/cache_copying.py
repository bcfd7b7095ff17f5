"""Files and folders copied between the node cache and the pod's own volume, hashed on the way.

Used by `artifact.cache`. Where both lie on one file system that can share blocks (XFS, Btrfs) nothing is copied but
the hash is still taken. It follows no link and copies nothing but plain files.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from modelyard_runtime.artifact import digest as digests

_CHUNK_BYTES = 1024 * 1024
_FICLONE = 0x40049409  # linux/fs.h
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclasses.dataclass(frozen=True, slots=True)
class Copied:
    """What a copy has: its digest and the bytes of all files."""

    digest: str
    size_bytes: int


def copy(source: Path, target: Path, is_durable: bool = False) -> Copied:
    """Copies a file or folder to a path that does not exist; raises `OSError`.

    `is_durable` asks that it outlives the node's sudden end.
    """
    if not source.is_dir() or source.is_symlink():
        copied = _copy_file(source, target, is_durable)
    else:
        entries: dict[str, Copied] = {}
        target.mkdir()
        for path in _files_below(source):
            relative = path.relative_to(source)
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            entries[relative.as_posix()] = _copy_file(path, target / relative, is_durable)
        digest = digests.of_entries((path, one.digest) for path, one in entries.items())
        copied = Copied(digest, sum(one.size_bytes for one in entries.values()))
    if is_durable:
        _make_durable(target)
    return copied


def _files_below(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(Path(entry.path))
        else:
            yield Path(entry.path)


def _copy_file(source: Path, target: Path, is_durable: bool) -> Copied:
    with os.fdopen(os.open(source, _READ), "rb") as read:
        if not stat.S_ISREG(os.fstat(read.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(source))
        with os.fdopen(os.open(target, _WRITE, 0o644), "w+b") as written:
            hasher = hashlib.sha256()
            is_shared = _share_blocks(read.fileno(), written.fileno())
            size_bytes = 0
            while chunk := (written if is_shared else read).read(_CHUNK_BYTES):
                hasher.update(chunk)
                size_bytes += len(chunk)
                if not is_shared:
                    written.write(chunk)
            if is_durable:
                written.flush()
                os.fsync(written.fileno())
    return Copied(f"sha256:{hasher.hexdigest()}", size_bytes)


def _share_blocks(read: int, written: int) -> bool:
    """Says whether the one file now has the other's content without a copy."""
    try:
        fcntl.ioctl(written, _FICLONE, read)
    except OSError:
        return False
    return True


def _make_durable(path: Path) -> None:
    for folder in (path, *path.rglob("*")) if path.is_dir() else ():
        if folder.is_dir():
            sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder outlive the node's sudden end; raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network file systems have no such thing for folders.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
