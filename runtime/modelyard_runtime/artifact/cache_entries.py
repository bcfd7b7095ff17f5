"""The node cache's folder: entries, what is being written, locks, and what makes room.

    <cache>/index.lock                  held for moments, by whoever adds or removes
    <cache>/entries/<key>/content       an artifact; `bytes` its size, `lock` its lock, whose time is its last use
    <cache>/writing/<name>/             the same while it is being written, locked by its writer; or on its way out

Used by `artifact.cache` from several pods at once, each of which may die at any moment: a lock dies with its process,
so what is in `writing` without a locked lock is nobody's and removed. Every method raises `OSError`.
"""

import contextlib
import dataclasses
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from modelyard_runtime.artifact import cache_copying

_WAIT_SECONDS = 10.0
_POLL_SECONDS = 0.05
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_FREE_SHARE = 10  # the tenth part of the volume stays free: a full node disk evicts pods


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    size_bytes: int
    used_at: float


class Entries:
    """The entries below one folder, at most `max_bytes` in all."""

    def __init__(self, root: Path, max_bytes: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._entries = root / "entries"
        self._writing = root / "writing"
        for folder in (root, self._entries, self._writing):
            folder.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def reading(self, key: str) -> Iterator[Path | None]:
        """Gives an entry's content, kept from being removed meanwhile, or None when there is none to be had now."""
        entry = self._entries / key
        try:
            descriptor = os.open(entry / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            yield None
            return
        try:
            is_held = _try_lock(descriptor, fcntl.LOCK_SH) and _is_at(descriptor, entry / "lock")
            if is_held:
                os.utime(descriptor)
            yield entry / "content" if is_held else None
        finally:
            os.close(descriptor)

    def drop(self, key: str) -> None:
        """Removes an entry at once, whoever reads it: it is damaged."""
        with self._index():
            gone = self._take_away(self._entries / key)
        shutil.rmtree(gone, ignore_errors=True)

    @contextlib.contextmanager
    def writing(self, key: str, size_bytes: int) -> Iterator[tuple[Path, Callable[[], None]] | None]:
        """Gives a path for a new entry's content and what makes it an entry; None when it is there or has no room."""
        with self._index():
            gone = list(self._leftovers())
            is_wanted = not (self._entries / key).exists() and self._make_room(size_bytes, gone)
            started = self._start(size_bytes) if is_wanted else None
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)  # another pod may be at it too
        if started is None:
            yield None
            return
        folder, descriptor = started
        try:
            yield folder / "content", lambda: self._commit(folder, key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)

    def _start(self, size_bytes: int) -> tuple[Path, int]:
        folder = self._writing / uuid.uuid4().hex  # noqa: TID251 - a name that no other pod has
        folder.mkdir(mode=0o700)
        try:
            (folder / "bytes").write_text(str(size_bytes))
            descriptor = os.open(folder / "lock", _LOCK_FLAGS, 0o600)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)  # of no use, and a full volume has no room for it
            raise
        _try_lock(descriptor, fcntl.LOCK_EX)
        return folder, descriptor

    def _commit(self, folder: Path, key: str) -> None:
        cache_copying.sync_folder(folder)
        with self._index():
            if not (self._entries / key).exists():
                folder.rename(self._entries / key)
                cache_copying.sync_folder(self._entries)

    def _leftovers(self) -> Iterator[Path]:
        """Gives what is being written by nobody any more."""
        for folder in self._writing.iterdir():
            with _locked(folder / "lock") as is_held:
                if is_held:
                    yield folder

    def _make_room(self, size_bytes: int, gone: list[Path]) -> bool:
        """Says whether there is room for so many bytes; the longest unused entries make it, added to `gone`."""
        usage = os.statvfs(self._root)
        free_bytes = usage.f_bavail * usage.f_frsize - usage.f_blocks * usage.f_frsize // _FREE_SHARE
        entries = sorted(map(_read, self._entries.iterdir()), key=lambda one: one.used_at)
        used_bytes = sum(one.size_bytes for one in entries)
        used_bytes += sum(_read(path).size_bytes for path in self._writing.iterdir() if path not in gone)
        free_bytes += sum(_read(path).size_bytes for path in gone)
        if size_bytes > self._max_bytes:
            return False
        for entry in entries:
            if used_bytes + size_bytes <= self._max_bytes and size_bytes <= free_bytes:
                break
            with _locked(entry.path / "lock") as is_held:
                if is_held:
                    gone.append(self._take_away(entry.path))
                    used_bytes -= entry.size_bytes
                    free_bytes += entry.size_bytes
        return used_bytes + size_bytes <= self._max_bytes and size_bytes <= free_bytes

    def _take_away(self, entry: Path) -> Path:
        gone = self._writing / uuid.uuid4().hex  # noqa: TID251 - a name that no other pod has
        entry.rename(gone)
        return gone

    @contextlib.contextmanager
    def _index(self) -> Iterator[None]:
        descriptor = os.open(self._root / "index.lock", _LOCK_FLAGS, 0o600)
        try:
            for _ in range(int(_WAIT_SECONDS / _POLL_SECONDS)):
                if _try_lock(descriptor, fcntl.LOCK_EX):
                    break
                self._sleep(_POLL_SECONDS)
            else:
                raise OSError(errno.ETIMEDOUT, "another pod holds the cache's lock")
            yield
        finally:
            os.close(descriptor)


def _read(entry: Path) -> _Entry:
    """Gives what an entry says of itself; one that says nothing is the first to go."""
    try:
        return _Entry(entry, int((entry / "bytes").read_text()), (entry / "lock").stat().st_mtime)
    except (OSError, ValueError):
        return _Entry(entry, 0, 0.0)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Says whether a lock could be taken, and holds it; one that does not exist is held by nobody."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _try_lock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Says whether an opened file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
