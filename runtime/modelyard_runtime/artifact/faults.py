"""What a failed transfer means, in words for people.

Called by `artifact.sources` with whatever the object-store library raised. The library's own text is only searched,
never shown: it holds the full URL with its query, its own structure, and at times a server's answer.
A library that goes out through the proxy of `artifact.egress` knows nothing of what the proxy met: that is asked for.
An exception and a description of the place go in, a `StartFailure` comes out.
"""

import dataclasses
import errno
import re
import socket
from collections.abc import Callable

from modelyard_runtime import errors

_STATUS = re.compile(r"status: (\d{3})")
_S3_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")

_FORWARDER_MARK = "modelyard-no-connection"  # `forwarding.MARK`

NO_NAME = "its name does not resolve (DNS); check the host name"
NOBODY = "nothing listens there (connection refused)"
TOO_LATE = "it did not answer in time"
NO_ROUTE = "there is no route to it; check the network policy"
BROKEN = "the connection broke"

# First match wins: (pattern in the library's debug text, what it means for people).
_CAUSES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"dns error|failed to lookup address"), NO_NAME),
    (re.compile(r"UnknownIssuer|self.signed", re.IGNORECASE), "its TLS certificate is signed by an unknown authority"),
    (re.compile(r"CertExpired|certificate.{0,20}expired|Expired", re.IGNORECASE), "its TLS certificate has expired"),
    (re.compile(r"NotValidForName"), "its TLS certificate is for another host name"),
    (re.compile(r"InvalidCertificate|certificate", re.IGNORECASE), "its TLS certificate is not valid"),
    (re.compile(r"InvalidMessage|InvalidContentType|corrupt"), "it does not speak TLS; write http:// if that is meant"),
    (re.compile(r"ConnectionRefused"), NOBODY),
    (re.compile(r"TooManyRedirects|redirect", re.IGNORECASE), "it redirects too often"),
    (re.compile(r"kind: Timeout|TimedOut"), TOO_LATE),
    (re.compile(r"NetworkUnreachable|HostUnreachable|No route"), NO_ROUTE),
    (re.compile(r"read token file|federated token", re.IGNORECASE), "the token of the pod's identity can't be read"),
    (re.compile(r"MissingContentLength"), "its answer does not say how long the file is (no Content-Length)"),
    (re.compile(r"IncompleteBody|ConnectionReset|UnexpectedEof|IncompleteMessage|Interrupted"), BROKEN),
)  # fmt: skip

# S3's words for "not you", whatever the status beside them.
_ACCESS_CODES = frozenset(
    {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "ExpiredTokenException",  # of the service that gives keys to an identity
        "InvalidIdentityToken",
        "InvalidToken",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "XAdminUserNotFound",  # versitygw, with status 404
    }
)

# What to look at when something is not there: by the server's word for it, else by the URI's scheme.
_MISSING_BY_CODE = {
    "NoSuchBucket": "the bucket itself is missing there; check the bucket name and AWS_ENDPOINT_URL",
    "ContainerNotFound": "the container itself is missing there; check its name and AZURE_STORAGE_ACCOUNT_NAME",
    # Azure's word for a wrong account, and for what is private when nobody asks for it.
    "ResourceNotFound": "check container and account; without credentials Azure says so of private containers too",
}
_MISSING_BY_SCHEME = {
    "s3": "check bucket and key",
    "gs": "check bucket and object name",
    "az": "check container and blob name",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a transfer went: the artifact's URI as shown, the server in words, and which Secret keys give access.

    `take_failure` is `Egress.take_failure`, for what a library can't know; `has_identity` says that the pod's own
    identity asks.
    """

    shown: str
    server: str
    key_names: str
    has_credentials: bool
    take_failure: Callable[[], errors.StartFailure | OSError | None] = lambda: None
    has_identity: bool = False


def explain(error: Exception, place: Place) -> errors.StartFailure:
    """Gives the failure that an exception of the library stands for."""
    text = str(error)
    status = _status(error, text)
    if status == 407 and _FORWARDER_MARK in text:
        # Libraries show the proxy's password for the server they were given, and for no other.
        return errors.StartFailure(
            errors.Reason.ADDRESS_REFUSED,
            f"{place.server} redirects {place.shown} to another server, which is not followed; name that one",
        )
    if status is None or _FORWARDER_MARK in text:
        match place.take_failure():
            case errors.StartFailure() as refused:
                return refused
            case OSError() as broken:
                return unreachable(place, of_network(broken))
    if status is not None or _s3_code(text) in _ACCESS_CODES:
        return of_status(status, place, text)
    return unreachable(place, _cause(text))


def of_status(status: int | None, place: Place, text: str = "") -> errors.StartFailure:
    """Gives the failure that a status other than success stands for; `text` is what is said beside it."""
    if status in (401, 403) or _s3_code(text) in _ACCESS_CODES:
        return errors.StartFailure(errors.Reason.ACCESS_DENIED, _denied(place, text))
    if status in (404, 410):
        return errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{place.shown} does not exist on {place.server}; {_what_to_check(place, text)}",
        )
    code = _s3_code(text)
    answer = f"{status}" + (f" ({code})" if code else "")
    return errors.StartFailure(
        errors.Reason.FETCH_FAILED, f"{place.server} answered {answer} to the request for {place.shown}"
    )


def of_network(error: OSError) -> str | None:
    """Gives what an error of a socket means; None when it says nothing."""
    if isinstance(error, socket.gaierror):
        return NO_NAME
    if isinstance(error, ConnectionRefusedError):
        return f"the proxy refused to connect to it ({error})" if "proxy" in str(error) else NOBODY
    if isinstance(error, TimeoutError):
        return TOO_LATE
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return NO_ROUTE
    return BROKEN if isinstance(error, ConnectionError) else None


def unreachable(place: Place, cause: str | None) -> errors.StartFailure:
    """Gives the failure of a transfer that got no answer, or no usable one; `cause` says why, of the server."""
    return errors.StartFailure(
        errors.Reason.FETCH_FAILED,
        f"{place.shown} can't be fetched from {place.server}: {cause or 'the transfer failed'}",
    )


def is_beyond_the_end(error: Exception) -> bool:
    """Says whether a span was asked for that starts behind the last byte (status 416)."""
    return _status(error, str(error)) == 416


def _status(error: Exception, text: str) -> int | None:
    if isinstance(error, FileNotFoundError):
        return 404
    match = _STATUS.search(text)
    return int(match[1]) if match else None


def _s3_code(text: str) -> str | None:
    match = _S3_CODE.search(text)
    return match[1] if match else None


def _what_to_check(place: Place, text: str) -> str:
    scheme = place.shown.partition(":")[0]
    return _MISSING_BY_CODE.get(_s3_code(text) or "") or _MISSING_BY_SCHEME.get(scheme, "check the path")


def _denied(place: Place, text: str) -> str:
    if "169.254.169.254" in text or "InstanceCredentialProvider" in text:
        given = "no credentials were given and the node offers none"
    elif place.has_identity:
        given = "the pod's identity does not allow it"
    elif place.has_credentials:
        given = "the given credentials do not allow it"
    else:
        given = "no credentials were given"
    code = _s3_code(text)
    return (
        f"{place.server} denied access to {place.shown}{f' ({code})' if code else ''}: {given}; "
        f"set {place.key_names} in the Secret that spec.model.credentials.secretName names"
    )


def _cause(text: str) -> str | None:
    return next((meaning for pattern, meaning in _CAUSES if pattern.search(text)), None)
