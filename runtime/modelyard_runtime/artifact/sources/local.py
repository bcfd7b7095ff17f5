"""Artifacts on a mounted file system: `file:` URIs.

Chosen by `sources.opening`. It only reads, and only below the path the URI names: a link out of a folder is refused.
A URI names a path of the fetch container, where its credentials are files too: only what lies below the roots that the
administrator gives can be named, whatever links lead there.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris

_CHUNK_BYTES = 1024 * 1024
# Never an artifact's place: a root that covers one of them does not cover what is in it; a root within one does.
CLOSED = tuple(map(Path, ("/proc", "/sys", "/dev", "/etc", "/run", "/var/run")))
_CLOSED_VARIABLES = {
    "MODELYARD_CREDENTIALS_DIR": "/mnt/credentials",
    "MODELYARD_ARTIFACT_DIR": "/mnt/artifact",
}


def build(location: uris.Location, surroundings: source.Surroundings) -> "LocalSource":
    """Gives the source of a URI; raises `StartFailure` (AccessDenied) when the path lies below none of the roots."""
    roots = surroundings.file_roots
    if not is_open(Path(location.path), roots, closed_folders(surroundings.ambient)):
        named = ", ".join(map(str, roots)) or "none"
        raise errors.StartFailure(
            errors.Reason.ACCESS_DENIED,
            f"{location.shown} lies outside the folders that file: may name something in ({named}); put the model "
            "there, or ask the administrator for another folder (MODELYARD_FILE_ROOTS)",
        )
    return LocalSource(location)


def closed_folders(ambient: Mapping[str, str]) -> tuple[Path, ...]:
    """Gives the folders that no root opens by covering them: the system's, and those of fetch itself."""
    own = (Path(ambient.get(variable) or usual) for variable, usual in _CLOSED_VARIABLES.items())
    return (*CLOSED, *own)


def is_open(path: Path, roots: tuple[Path, ...], closed: tuple[Path, ...]) -> bool:
    """Says whether a path, as written and with every link followed, lies below a root and in no closed folder."""
    shut = {*closed, *(folder.resolve() for folder in closed)}
    written = Path(os.path.normpath(path))
    if not any(_covers(root, written, shut) for root in roots):
        return False
    # Only now: what a path leads to is nobody's business before it is known to be one that may be asked for.
    actual = path.resolve()
    return any(_covers(root.resolve(), actual, shut) for root in roots)


def _covers(root: Path, path: Path, shut: Collection[Path]) -> bool:
    return path.is_relative_to(root) and not any(
        path.is_relative_to(folder) and not root.is_relative_to(folder) for folder in shut
    )


class LocalSource:
    """A file or a folder of this file system."""

    def __init__(self, location: uris.Location) -> None:
        self._location = location
        self._root = Path(location.path)

    def list_files(self) -> source.Listing:
        """Gives the file, or every file below the folder."""
        if not self._root.exists():
            raise errors.StartFailure(
                errors.Reason.ARTIFACT_NOT_FOUND,
                f"{self._location.shown} does not exist in the fetch container; check the path and the mounts",
            )
        try:
            if self._root.is_file():
                return source.Listing(False, (source.File("", self._root.stat().st_size),))
            return source.Listing(True, tuple(self._walk()))
        except PermissionError as error:
            raise self._unreadable(error) from error

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Opens one file for reading, always the whole of it: a disk gains nothing from spans."""
        del span
        path = self._root / file.path if file.path else self._root
        try:
            return source.Content(path.stat().st_size, self._read(path))
        except PermissionError as error:
            raise self._unreadable(error) from error

    def _walk(self) -> Iterator[source.File]:
        root = self._root.resolve()
        found = False
        for path in sorted(self._root.rglob("*")):
            if not path.resolve().is_relative_to(root):
                shown = path.relative_to(self._root).as_posix()
                raise errors.StartFailure(
                    errors.Reason.ACCESS_DENIED,
                    f"{self._location.shown} holds the link {shown!r}, which leads out of it; copy the file itself",
                )
            if path.is_file():
                found = True
                yield source.File(path.relative_to(self._root).as_posix(), path.stat().st_size)
        if not found:
            raise errors.StartFailure(
                errors.Reason.ARTIFACT_NOT_FOUND, f"{self._location.shown} is a folder without any file in it"
            )

    def _read(self, path: Path) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        except PermissionError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: PermissionError) -> errors.StartFailure:
        return errors.StartFailure(
            errors.Reason.ACCESS_DENIED,
            f"{self._location.shown} can't be read by the fetch container's user (uid 10001): {error.strerror}",
        )
