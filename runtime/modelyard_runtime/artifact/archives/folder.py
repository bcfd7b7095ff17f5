"""The folder that an archive is unpacked into: made new, filled file by file, never left.

`artifact.archives.tarball` and `zipfiles` write through it, and nothing else writes. Each path is walked from the
folder's own descriptor without following a link, and each file is new: what is in an archive can neither reach out of
the folder nor write a file twice. Layers of one artifact share one folder.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelyard_runtime.artifact import digest as digests
from modelyard_runtime.artifact import volume
from modelyard_runtime.artifact.archives import limits, names

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# The archive says no more than "may be run"; nobody else may write, and no bit gives another identity.
_MODE, _MODE_OF_PROGRAM, _MODE_OF_FOLDER, _MODE_WHILE_FILLED = 0o644, 0o755, 0o755, 0o700
# What a Mac adds to a ZIP archive beside the files: no part of the model.
_LEFT_OUT = "__MACOSX"


class Folder:
    """A folder that is being filled."""

    def __init__(self, path: Path, budget: limits.Budget) -> None:
        self.budget = budget
        self._path = path
        self._taken = names.Taken()
        self._digests: dict[str, str] = {}
        self._descriptor = -1

    @contextlib.contextmanager
    def opened(self) -> Iterator["Folder"]:
        """Makes the folder and gives this value, ready to be written to; raises `StartFailure`."""
        try:
            self._path.mkdir(mode=_MODE_WHILE_FILLED)
            self._descriptor = os.open(self._path, _FOLDER_FLAGS)
        except OSError as error:
            raise volume.disk_failure(error) from error
        try:
            yield self
            os.fchmod(self._descriptor, _MODE_OF_FOLDER)
        finally:
            os.close(self._descriptor)

    def add_folder(self, name: str) -> None:
        """Makes a folder; raises `StartFailure`."""
        self.budget.add_entry(name)
        parts = names.parse(name)
        self._taken.add_folder(name, parts)
        if parts[:1] == (_LEFT_OUT,):
            return
        try:
            os.close(self._open_folder(parts))
        except OSError as error:
            raise volume.disk_failure(error) from error

    def add_file(self, name: str, chunks: Iterable[bytes], is_program: bool = False) -> None:
        """Writes a file and the folders above it; raises `StartFailure`, also the one that `chunks` raises."""
        self.budget.add_entry(name)
        parts = names.parse(name)
        if not parts:
            raise limits.refusal(name, "is a file without a name")
        self._taken.add_file(name, parts)
        if parts[0] == _LEFT_OUT:
            for chunk in chunks:
                self.budget.add_bytes(name, len(chunk))
            return
        try:
            parent = self._open_folder(parts[:-1])
            try:
                descriptor = os.open(parts[-1], _FILE_FLAGS, 0o600, dir_fd=parent)
            finally:
                os.close(parent)
            with os.fdopen(descriptor, "wb") as file:
                hasher = hashlib.sha256()
                for chunk in chunks:
                    self.budget.add_bytes(name, len(chunk))
                    hasher.update(chunk)
                    file.write(chunk)
                os.fchmod(file.fileno(), _MODE_OF_PROGRAM if is_program else _MODE)
        except OSError as error:
            raise volume.disk_failure(error) from error
        self._digests["/".join(parts)] = f"sha256:{hasher.hexdigest()}"

    def top(self) -> str | None:
        """Gives the name of the one folder that holds everything, None when there is no such."""
        tops = {path.partition("/")[0] for path in self._digests}
        return tops.pop() if len(tops) == 1 and all("/" in path for path in self._digests) else None

    def digest(self, below: str | None) -> str:
        """Gives the digest of the files written, of those below a top folder by their paths in it."""
        cut = len(below) + 1 if below is not None else 0
        return digests.of_entries((path[cut:], digest) for path, digest in self._digests.items())

    @property
    def is_empty(self) -> bool:
        """Says whether no file was written."""
        return not self._digests

    def _open_folder(self, parts: tuple[str, ...]) -> int:
        """Gives a descriptor of a folder below, made if need be."""
        current = os.dup(self._descriptor)
        for part in parts:
            try:
                # That it is a folder, and no link, its opening proves.
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, _MODE_OF_FOLDER, dir_fd=current)
                following = os.open(part, _FOLDER_FLAGS, dir_fd=current)
            finally:
                os.close(current)
            current = following
        return current
