"""A library's exception becomes a reason in words, and its own text stays inside."""

import pytest
from obstore import exceptions

from modelyard_runtime import errors
from modelyard_runtime.artifact import faults

S3 = faults.Place("s3://models/m.pkl", "the S3 server at s3.example", "AWS_ACCESS_KEY_ID", True)
WEB = faults.Place("https://host/m.pkl", "the HTTP server host", "HTTP_BEARER_TOKEN", False)
SECRET = "uri: Some( https://host/m.pkl?sig=canary ) "


def _status(code: int, body: str = "") -> str:
    return SECRET + f'inner: Status {{ status: {code}, body: Some( "{body}" ) }}'


CASES = {
    "the builtin for 404": (FileNotFoundError("x canary"), S3, "ArtifactNotFound", "bucket and key"),
    "a bucket that is not there": (
        FileNotFoundError(_status(404, "<Code>NoSuchBucket</Code>")), S3, "ArtifactNotFound", "the bucket itself",
    ),
    "a page that is not there": (FileNotFoundError("x"), WEB, "ArtifactNotFound", "check the path"),
    "gone": (exceptions.GenericError(_status(410)), WEB, "ArtifactNotFound", "does not exist"),
    "401": (exceptions.UnauthenticatedError(_status(401)), WEB, "AccessDenied", "no credentials were given"),
    "403 with credentials": (
        exceptions.PermissionDeniedError(_status(403, "<Code>SignatureDoesNotMatch</Code>")), S3, "AccessDenied",
        "(SignatureDoesNotMatch): the given credentials do not allow it; set AWS_ACCESS_KEY_ID",
    ),
    "a key for another region": (
        exceptions.GenericError(_status(400, "<Code>AuthorizationHeaderMalformed</Code>")), S3,
        "AccessDenied", "Malformed",
    ),
    "an unknown key, as versitygw says it": (
        FileNotFoundError(_status(404, "<Code>XAdminUserNotFound</Code>")), S3, "AccessDenied", "XAdminUserNotFound",
    ),
    "no identity on the node": (
        exceptions.PermissionDeniedError("PUT http://169.254.169.254/latest " + _status(403)), S3, "AccessDenied",
        "the node offers none",
    ),
    "a server error": (exceptions.GenericError(_status(503)), S3, "FetchFailed", "answered 503"),
    "a server error with S3's code": (
        exceptions.GenericError(_status(503, "<Code>SlowDown</Code>")), S3, "FetchFailed", "answered 503 (SlowDown)",
    ),
    "a refused request": (exceptions.GenericError(_status(400)), WEB, "FetchFailed", "answered 400"),
    "a name that does not resolve": (
        exceptions.GenericError(SECRET + 'ConnectError( "dns error", Custom {'), WEB, "FetchFailed", "DNS",
    ),
    "nobody listens": (exceptions.GenericError(SECRET + "kind: ConnectionRefused"), WEB, "FetchFailed", "refused"),
    "no answer in time": (exceptions.GenericError(SECRET + "source: TimedOut"), WEB, "FetchFailed", "in time"),
    "an unknown authority": (
        exceptions.GenericError(SECRET + "InvalidCertificate(UnknownIssuer)"), WEB, "FetchFailed", "unknown authority",
    ),
    "an expired certificate": (
        exceptions.GenericError(SECRET + "InvalidCertificate(Expired)"), WEB, "FetchFailed", "expired",
    ),
    "a certificate for another name": (
        exceptions.GenericError(SECRET + "InvalidCertificate(NotValidForName)"), WEB, "FetchFailed", "another host",
    ),
    "no TLS there": (exceptions.GenericError(SECRET + "InvalidMessage"), WEB, "FetchFailed", "does not speak TLS"),
    "a broken transfer": (exceptions.GenericError(SECRET + "IncompleteBody"), WEB, "FetchFailed", "broke"),
    "no size": (exceptions.GenericError("MissingContentLength"), WEB, "FetchFailed", "Content-Length"),
    "something new": (exceptions.GenericError(SECRET), WEB, "FetchFailed", "the transfer failed"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_explained(case: str) -> None:
    error, place, reason, words = CASES[case]
    failure = faults.explain(error, place)
    assert failure.reason is errors.Reason(reason)
    assert words in failure.message
    assert place.shown in failure.message
    assert "canary" not in failure.message
