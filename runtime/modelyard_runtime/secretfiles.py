"""A folder that a Secret is mounted at, and whether it has changed.

Used by `access.tokens`, `access.certificate` and `artifact.credentials`. The kubelet writes a new folder beside the old
one and swaps a symbolic link, so a reader sees all of the old files or all of the new ones.
"""

from collections.abc import Mapping
from pathlib import Path

_LARGEST_BYTES = 1024 * 1024  # a Secret holds no more


def read(folder: Path) -> Mapping[str, bytes]:
    """Gives name → content of the Secret's keys; empty when the folder or the Secret does not exist."""
    return {path.name: path.read_bytes()[:_LARGEST_BYTES] for path in _files(folder)}


def fingerprint(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Gives a value that is another one as soon as a file was added, removed or written."""
    found = []
    for path in _files(folder):
        status = path.stat()
        found.append((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    # The kubelet's own entries start with two dots.
    return sorted(path for path in folder.iterdir() if not path.name.startswith("..") and path.is_file())
