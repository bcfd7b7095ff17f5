"""Core errors → status codes and bodies, once for all protocols.

Used by `http.inference`, `http.guard` and `http.framework`. All protocols have the error form `{"error": "…"}` but
MLflow's, which has a code and a message.
Pure apart from sending. A body must never hold a traceback, a path or a class name of ours.
"""

from collections.abc import Mapping

import orjson

from modelyard_runtime import errors
from modelyard_runtime.protocols import mlflow

_STATUS: Mapping[type[errors.RequestError], int] = {
    errors.InvalidInput: 400,
    errors.UnknownModel: 404,
    errors.NotAcceptable: 406,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.Overloaded: 429,
    errors.ModelFailed: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
}
# By status, where MLflow has a name of its own.
_MLFLOW_CODES: Mapping[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
Headers = list[tuple[bytes, bytes]]


def status_of(error: errors.RequestError) -> int:
    """Gives the status code of an error."""
    return _STATUS[type(error)]


def body_of(message: str) -> bytes:
    """Gives the error body for a message."""
    return orjson.dumps({"error": message.encode("utf-8", "replace").decode("utf-8")})


def body_for(path: str, status: int, message: str) -> bytes:
    """Gives the error body for a message in the form of the protocol that is spoken at a path."""
    if path != mlflow.PATH:
        return body_of(message)
    code = _MLFLOW_CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    return orjson.dumps({"error_code": code, "message": message.encode("utf-8", "replace").decode("utf-8")})


def headers_of(error: errors.RequestError) -> Headers:
    """Gives the headers that belong to an error besides the content type."""
    if isinstance(error, errors.Overloaded):
        return [(b"retry-after", str(error.retry_after_seconds).encode())]
    return []
