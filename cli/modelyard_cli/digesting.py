"""The digest of an artifact that is read from where it is, without a copy.

Used by `__main__`. It follows the runtime's own definition (`artifact.digest`) and reads through the runtime's own
sources, so that it prints what `fetch` will compare.
"""

import hashlib

from modelyard_cli import progress
from modelyard_runtime import errors
from modelyard_runtime.artifact import digest as digests
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import opening

_ATTEMPTS = 3  # a file whose connection broke is read again from its beginning


def of_artifact(location: uris.Location, surroundings: source.Surroundings, shown: progress.Progress) -> str:
    """Gives the digest of what a location names; raises `StartFailure`."""
    origin = opening.open_source(location, surroundings)
    listing = origin.list_files()
    sizes = [file.size_bytes for file in listing.files]
    shown.total_bytes = sum(size for size in sizes if size is not None) if None not in sizes else None
    entries = [(file.path, _of_file(origin, file, shown)) for file in listing.files]
    return digests.of_entries(entries) if listing.is_folder else entries[0][1]


def _of_file(origin: source.Source, file: source.File, shown: progress.Progress) -> str:
    done_before = shown.done_bytes
    for _ in range(_ATTEMPTS - 1):
        try:
            return _read(origin, file, shown)
        except errors.StartFailure as failure:
            if not failure.reason.is_retryable:
                raise
            shown.done_bytes = done_before
    return _read(origin, file, shown)


def _read(origin: source.Source, file: source.File, shown: progress.Progress) -> str:
    content = origin.open_file(file)
    if shown.total_bytes is None and not file.path:
        shown.total_bytes = content.size_bytes
    hasher = hashlib.sha256()
    read_bytes = 0
    for chunk in content.chunks:
        hasher.update(chunk)
        size_bytes = memoryview(chunk).nbytes
        read_bytes += size_bytes
        shown.add(size_bytes)
    if content.size_bytes is not None and content.size_bytes != read_bytes:
        raise errors.StartFailure(
            errors.Reason.FETCH_FAILED,
            f"the transfer ended after {read_bytes} of {content.size_bytes} bytes; try again",
        )
    return f"sha256:{hasher.hexdigest()}"
