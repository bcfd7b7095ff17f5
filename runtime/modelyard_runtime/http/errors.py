"""Core errors → status codes and bodies, once for all protocols.

Used by `http.inference`, `http.guard` and `http.app`. Both protocols so far have the same error form, `{"error": "…"}`.
Pure apart from sending. A body must never hold a traceback, a path or a class name of ours.
"""

from collections.abc import Mapping

import orjson

from modelyard_runtime import errors

_STATUS: Mapping[type[errors.RequestError], int] = {
    errors.InvalidInput: 400,
    errors.Overloaded: 429,
    errors.ModelFailed: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
}
Headers = list[tuple[bytes, bytes]]


def status_of(error: errors.RequestError) -> int:
    """Gives the status code of an error."""
    return _STATUS[type(error)]


def body_of(message: str) -> bytes:
    """Gives the error body for a message."""
    return orjson.dumps({"error": message.encode("utf-8", "replace").decode("utf-8")})


def headers_of(error: errors.RequestError) -> Headers:
    """Gives the headers that belong to an error besides the content type."""
    if isinstance(error, errors.Overloaded):
        return [(b"retry-after", str(error.retry_after_seconds).encode())]
    return []
