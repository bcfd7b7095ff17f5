"""Artifacts on a volume that somebody else filled: the claim of a `pvc:` URI, the image of an `oci+volume:` URI.

Used by `sources.pvc` and `sources.ocivolume`. It only reads, and only what lies on the volume: whoever may write there
must not get the fetch container's own files (its credentials) into an artifact by a link, not even by one that is
exchanged while it is read. So a file is opened first, and then the kernel is asked where what was opened lies.
"""

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact.sources import objectstore

_CHUNK_BYTES = 1024 * 1024
_DEEPEST = (
    32  # folders in folders; a link can't lead in a circle, but a mount inside the volume may be anything
)


class MountedSource:
    """A file or a folder of a volume; `shown` is the URI, `volume` what it is called in words for people."""

    def __init__(self, shown: str, volume: str, mount: Path, path: str) -> None:
        self._shown = shown
        self._volume = volume
        self._mount = mount
        self._path = path

    def list_files(self) -> source.Listing:
        """Gives the file, or every file below the folder."""
        with self._faults():
            root = self._resolve(self._mount / self._path)
            status = root.stat()
            if stat.S_ISREG(status.st_mode):
                return source.Listing(False, (source.File("", status.st_size),))
            if not stat.S_ISDIR(status.st_mode):
                raise self._failure(errors.Reason.ACCESS_DENIED, "is neither a file nor a folder")
            files = tuple(self._walk(root, ""))
        if not files:
            raise self._failure(errors.Reason.ARTIFACT_NOT_FOUND, "is a folder without any file in it")
        return source.Listing(True, files)

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Opens one file for reading, whole or a span of it."""
        with self._opened(file) as opened:
            status = os.fstat(opened.fileno())
        start, end = (span.start, span.end) if span is not None else (0, None)
        last = status.st_size if end is None else min(end, status.st_size)
        return source.Content(
            status.st_size,
            self._read(file, _version(status), start, last),
            _version(status),
            span is not None,
        )

    def _walk(self, folder: Path, prefix: str) -> Iterator[source.File]:
        found = 0
        pending = [(folder, prefix, 0)]
        while pending:
            folder, prefix, depth = pending.pop()
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    path = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if depth >= _DEEPEST:
                            raise self._failure(
                                errors.Reason.ACCESS_DENIED, f"has folders too deep in folders at {path!r}"
                            )
                        pending.append((Path(entry.path), f"{path}/", depth + 1))
                        continue
                    found += 1
                    yield self._file(entry, path)
            if found > objectstore.MAX_FILES:
                raise self._failure(
                    errors.Reason.ARTIFACT_TOO_LARGE,
                    f"holds more than {objectstore.MAX_FILES} files; name the model's own folder",
                )

    def _file(self, entry: "os.DirEntry[str]", path: str) -> source.File:
        target = self._resolve(Path(entry.path), path)
        status = target.stat()
        if stat.S_ISDIR(status.st_mode):
            raise self._failure(
                errors.Reason.ACCESS_DENIED, f"holds the link {path!r} to a folder; copy the folder itself"
            )
        if not stat.S_ISREG(status.st_mode):
            raise self._failure(errors.Reason.ACCESS_DENIED, f"holds {path!r}, which is no file")
        return source.File(path, status.st_size)

    def _resolve(self, path: Path, inside: str = "") -> Path:
        """Gives a path with its links followed; raises where that leads off the volume."""
        resolved = path.resolve(strict=True)
        if not resolved.is_relative_to(self._mount.resolve()):
            raise self._leads_away(inside)
        return resolved

    @contextlib.contextmanager
    def _opened(self, file: source.File) -> Iterator[io.FileIO]:
        with self._faults():
            # Not to wait for a writer, should it be a pipe by now.
            path = self._mount / self._path / file.path
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                lies_at = Path(f"/proc/self/fd/{descriptor}").readlink()
                if not lies_at.is_relative_to(self._mount.resolve()):
                    raise self._leads_away(file.path)
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise self._failure(errors.Reason.ACCESS_DENIED, f"holds {file.path!r}, which is no file")
            except BaseException:
                os.close(descriptor)
                raise
            with io.FileIO(descriptor) as opened:
                yield opened

    def _leads_away(self, inside: str) -> errors.StartFailure:
        what = f"holds the link {inside!r}, which leads" if inside else "is a link that leads"
        return self._failure(
            errors.Reason.ACCESS_DENIED, f"{what} out of {self._volume}; copy the file itself to it"
        )

    def _read(self, file: source.File, version: str, start: int, end: int) -> Iterator[bytes]:
        with self._opened(file) as opened:
            if _version(os.fstat(opened.fileno())) != version:
                raise self._failure(errors.Reason.FETCH_FAILED, "changed while it was read")
            while start < end:
                chunk = os.pread(opened.fileno(), min(_CHUNK_BYTES, end - start), start)
                if not chunk:
                    return  # it became shorter: the transfer counts the bytes
                start += len(chunk)
                yield chunk

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            raise self._failure(
                errors.Reason.ARTIFACT_NOT_FOUND, f"does not exist in {self._volume}; check the path"
            ) from None
        except PermissionError as error:
            raise self._failure(
                errors.Reason.ACCESS_DENIED,
                f"can't be read by the fetch container's user (uid and gid 10001): {error.strerror}; "
                "let everybody, or the group 10001, read it",
            ) from None
        except RuntimeError:  # pathlib's word for links in a circle
            raise self._failure(errors.Reason.ACCESS_DENIED, "has a link that leads in a circle") from None
        except OSError as error:
            raise self._failure(
                errors.Reason.FETCH_FAILED, f"can't be read from {self._volume}: {error.strerror}"
            ) from None

    def _failure(self, reason: errors.Reason, what: str) -> errors.StartFailure:
        return errors.StartFailure(reason, f"{self._shown} {what}")


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"
