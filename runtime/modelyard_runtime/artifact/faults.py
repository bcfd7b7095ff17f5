"""What a failed transfer means, in words for people.

Called by `artifact.sources` with whatever the object-store library raised. The library's own text is only searched,
never shown: it holds the full URL with its query, its own structure, and at times a server's answer.
Pure: an exception and a description of the place go in, a `StartFailure` comes out.
"""

import dataclasses
import re

from modelyard_runtime import errors

_STATUS = re.compile(r"status: (\d{3})")
_S3_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")

# First match wins: (pattern in the library's debug text, what it means for people).
_CAUSES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"dns error|failed to lookup address"), "its name does not resolve (DNS); check the host name"),
    (re.compile(r"UnknownIssuer|self.signed", re.IGNORECASE), "its TLS certificate is signed by an unknown authority"),
    (re.compile(r"CertExpired|certificate.{0,20}expired|Expired", re.IGNORECASE), "its TLS certificate has expired"),
    (re.compile(r"NotValidForName"), "its TLS certificate is for another host name"),
    (re.compile(r"InvalidCertificate|certificate", re.IGNORECASE), "its TLS certificate is not valid"),
    (re.compile(r"InvalidMessage|InvalidContentType|corrupt"), "it does not speak TLS; write http:// if that is meant"),
    (re.compile(r"ConnectionRefused"), "nothing listens there (connection refused)"),
    (re.compile(r"TooManyRedirects|redirect", re.IGNORECASE), "it redirects too often"),
    (re.compile(r"kind: Timeout|TimedOut"), "it did not answer in time"),
    (re.compile(r"NetworkUnreachable|HostUnreachable|No route"), "there is no route to it; check the network policy"),
    (re.compile(r"MissingContentLength"), "its answer does not say how long the file is (no Content-Length)"),
    (re.compile(r"IncompleteBody|ConnectionReset|UnexpectedEof|IncompleteMessage|Interrupted"), "the connection broke"),
)  # fmt: skip

# S3's words for "not you", whatever the status beside them.
_ACCESS_CODES = frozenset(
    {
        "AccessDenied",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "XAdminUserNotFound",  # versitygw, with status 404
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a transfer went: the artifact's URI as shown, the server in words, and which Secret keys give access."""

    shown: str
    server: str
    key_names: str
    has_credentials: bool


def explain(error: Exception, place: Place) -> errors.StartFailure:
    """Gives the failure that an exception of the library stands for."""
    text = str(error)
    status = _status(error, text)
    if _s3_code(text) in _ACCESS_CODES or status in (401, 403):
        return errors.StartFailure(errors.Reason.ACCESS_DENIED, _denied(place, text))
    if status in (404, 410):
        return errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{place.shown} does not exist on {place.server}; {_what_to_check(place, text)}",
        )
    if status is not None:
        code = _s3_code(text)
        answer = f"{status}" + (f" ({code})" if code else "")
        return errors.StartFailure(
            errors.Reason.FETCH_FAILED, f"{place.server} answered {answer} to the request for {place.shown}"
        )
    return errors.StartFailure(
        errors.Reason.FETCH_FAILED, f"{place.shown} can't be fetched from {place.server}: {_cause(text)}"
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
    if _s3_code(text) == "NoSuchBucket":
        return "the bucket itself is missing there; check the bucket name and AWS_ENDPOINT_URL"
    return "check bucket and key" if place.shown.startswith("s3:") else "check the path"


def _denied(place: Place, text: str) -> str:
    if "169.254.169.254" in text or "InstanceCredentialProvider" in text:
        given = "no credentials were given and the node offers none"
    elif place.has_credentials:
        given = "the given credentials do not allow it"
    else:
        given = "no credentials were given"
    code = _s3_code(text)
    return (
        f"{place.server} denied access to {place.shown}{f' ({code})' if code else ''}: {given}; "
        f"set {place.key_names} in the Secret that spec.model.credentials.secretName names"
    )


def _cause(text: str) -> str:
    for pattern, meaning in _CAUSES:
        if pattern.search(text):
            return meaning
    return "the transfer failed"
