"""What the object-store library is told and what its answers become: shared by the sources that it serves.

obstore does the talking (signatures, the clouds' credential chains, TLS, retries of broken requests); ours is what it
is given and what its failures mean (`artifact.faults`). It must never log or pass on the library's own error text.
"""

import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING

import obstore
import obstore.exceptions

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults, source

if TYPE_CHECKING:
    from obstore import GetOptions, OffsetRange
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

MAX_FILES = 10_000  # of one folder: a prefix with more is a mistake (a whole bucket, a data set)
_CHUNK_BYTES = 4 * 1024 * 1024
_CONNECT_TIMEOUT = datetime.timedelta(seconds=5)
_IDLE_TIMEOUT = datetime.timedelta(seconds=30)
# The library's own limit for a whole request defaults to 30 s; how long a big model takes is for the idle limit to say.
_WHOLE_TIMEOUT = datetime.timedelta(days=7)
# Brief: `artifact.fetch` retries too, and says so in the log.
RETRY: "RetryConfig" = {
    "max_retries": 2,
    "retry_timeout": datetime.timedelta(seconds=60),
    "backoff": {
        "init_backoff": datetime.timedelta(milliseconds=200),
        "max_backoff": datetime.timedelta(seconds=2),
        "base": 2,
    },
}
# obstore maps its faults to its own tree and, for 404, to the builtin FileNotFoundError.
FAULTS = (obstore.exceptions.BaseError, FileNotFoundError)


def open_object(
    store: "ObjectStore", path: str, place: faults.Place, span: source.Span | None = None
) -> source.Content:
    """Gives one object, or a span of it, opened; raises `StartFailure`."""
    options: GetOptions = {} if span is None else {"range": _range(span)}
    try:
        result = obstore.get(store, path, options=options)
    except FAULTS as error:
        if span is not None and faults.is_beyond_the_end(error):
            # No server gives a span of an empty object.
            return open_object(store, path, place)
        raise faults.explain(error, place) from error
    version = result.meta["e_tag"] or result.meta["version"]
    return source.Content(result.meta["size"], _stream(result, place), version, span is not None)


def _range(span: source.Span) -> "tuple[int, int] | OffsetRange":
    return {"offset": span.start} if span.end is None else (span.start, span.end)


def _stream(result: "obstore.GetResult", place: faults.Place) -> Iterator[bytes]:
    try:
        yield from result.stream(min_chunk_size=_CHUNK_BYTES)
    except FAULTS as error:
        raise faults.explain(error, place) from error


def client_options(allow_http: bool, headers: dict[str, str]) -> "ClientConfig":
    """Gives how the library talks HTTP: which time limits count, and whether without TLS."""
    return {
        "allow_http": allow_http,
        "connect_timeout": _CONNECT_TIMEOUT,
        "read_timeout": _IDLE_TIMEOUT,
        "timeout": _WHOLE_TIMEOUT,
        "default_headers": headers,
        "user_agent": "modelyard-runtime",
    }


def list_objects(store: "ObjectStore", prefix: str, place: faults.Place) -> source.Listing:
    """Gives the objects under a prefix that ends with a slash, as the files of a folder; raises `StartFailure`."""
    files: list[source.File] = []
    try:
        for batch in obstore.list(store, prefix=prefix):
            files.extend(
                _below_prefix(prefix, item["path"], item["size"], place)
                for item in batch
                if item["path"] + "/" != prefix
            )
            if len(files) > MAX_FILES:
                raise errors.StartFailure(
                    errors.Reason.ARTIFACT_TOO_LARGE,
                    f"{place.shown} holds more than {MAX_FILES} objects; name the model's own folder",
                )
    except FAULTS as error:
        raise faults.explain(error, place) from error
    if not files:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{place.server} has no object under {place.shown}; check the name before the first slash and the prefix",
        )
    return source.Listing(True, tuple(files))


def _below_prefix(prefix: str, key: str, size_bytes: int, place: faults.Place) -> source.File:
    path = key.removeprefix(prefix)
    if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise errors.StartFailure(
            errors.Reason.URI_UNSUPPORTED,
            f"{place.shown} holds the key {key!r}, which can't be a file name",
        )
    return source.File(path, size_bytes)
