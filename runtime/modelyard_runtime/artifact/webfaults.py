"""What an exception of the HTTP client means, in words for people; `artifact.faults` has the words that sources share.

Called by `sources.http`. The exception's own text is never shown: it may hold the URL with its query.
Pure: an exception goes in, a `StartFailure` comes out.
"""

import http.client
import ssl
from collections.abc import Iterator

import urllib3

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults

# OpenSSL's X509_V_ERR_* → what it means.
_CERTIFICATE = {
    9: "its TLS certificate is not valid yet; check the clocks",
    10: "its TLS certificate has expired",
    18: "its TLS certificate is signed by an unknown authority",
    19: "its TLS certificate is signed by an unknown authority",
    20: "its TLS certificate is signed by an unknown authority",
    21: "its TLS certificate is signed by an unknown authority",
    62: "its TLS certificate is for another host name",
    64: "its TLS certificate is for another host name",
}


def explain(error: Exception, place: faults.Place) -> errors.StartFailure:
    """Gives the failure that an exception of the client stands for."""
    return faults.unreachable(place, next(filter(None, map(_meaning, _chain(error))), None))


# First match wins.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLEOFError, faults.BROKEN),
    (ssl.SSLError, "it does not speak TLS, or none that is safe; write http:// if that is meant"),
    (urllib3.exceptions.TimeoutError, faults.TOO_LATE),
    (http.client.IncompleteRead, faults.BROKEN),
    (http.client.RemoteDisconnected, faults.BROKEN),
    (http.client.HTTPException, "its answer is no HTTP"),
)


def _meaning(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, "its TLS certificate is not valid")
    for kind, meaning in _KINDS:
        if isinstance(error, kind):
            return meaning
    return faults.of_network(error) if isinstance(error, OSError) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Gives the innermost cause first: the client wraps it in its arguments, or raises from it."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting and len(seen) < 20:
        each = waiting.pop()
        seen.append(each)
        nested = [*each.args, each.__cause__, getattr(each, "reason", None)]
        waiting.extend(one for one in nested if isinstance(one, BaseException) and one not in seen)
    yield from reversed(seen)
