"""Artifacts on a mounted file system: `file:` URIs.

Chosen by `sources.opening`. It only reads, and only below the path the URI names: a link out of a folder is refused.
"""

from collections.abc import Iterator
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris

_CHUNK_BYTES = 1024 * 1024


def build(location: uris.Location, surroundings: source.Surroundings) -> "LocalSource":
    """Gives the source of a URI."""
    del surroundings
    return LocalSource(location)


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
