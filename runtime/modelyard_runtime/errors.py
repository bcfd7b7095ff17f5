"""Every way the runtime can fail, as values that carry their meaning and know no transport.

    StartFailure          the process can't serve; ends in the termination message and the exit code of its `Reason`
    RequestError          one request can't be answered; `http.errors` maps the kinds to status codes, in one place
      InvalidInput        the caller sent something this model can't take
      ModelFailed         the model itself failed on well-formed input
      Overloaded          the queue is full; try again in `retry_after_seconds`
      DeadlineExceeded    the answer would come too late for the caller
      NotReady            loading, failed or stopped

Raised by everything below `__main__` and `http`. Pure: it never writes, logs or exits.
`docs/reference/runtime-reasons.md` is the same list for people.
"""

import enum
import json
from collections.abc import Mapping

from modelyard_runtime import lifecycle

TERMINATION_MESSAGE_BYTES = 4096  # what the kubelet keeps of a termination message


class Reason(enum.Enum):
    """Why a runtime process ended: the closed list shared with the operator."""

    SETTINGS_INVALID = "SettingsInvalid"
    URI_UNSUPPORTED = "UriUnsupported"
    ARTIFACT_NOT_FOUND = "ArtifactNotFound"
    ACCESS_DENIED = "AccessDenied"
    FETCH_FAILED = "FetchFailed"
    ARTIFACT_TOO_LARGE = "ArtifactTooLarge"
    DIGEST_MISMATCH = "DigestMismatch"
    FORMAT_UNKNOWN = "FormatUnknown"
    LOAD_FAILED = "LoadFailed"
    VERSION_MISMATCH = "VersionMismatch"
    WARMUP_FAILED = "WarmupFailed"
    SAMPLE_MISMATCH = "SampleMismatch"
    ADDRESS_REFUSED = "AddressRefused"
    ARCHIVE_REFUSED = "ArchiveRefused"
    DIGEST_CHANGED = "DigestChanged"
    LIMIT_EXCEEDED = "LimitExceeded"
    PICKLE_REFUSED = "PickleRefused"
    POLICY_VIOLATION = "PolicyViolation"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, no secret
    SIGNATURE_INVALID = "SignatureInvalid"
    INTERNAL_ERROR = "InternalError"

    @property
    def exit_code(self) -> int:
        """The process exit code of this reason."""
        return EXIT_CODES[self]

    @property
    def is_retryable(self) -> bool:
        """Says whether the same start may succeed later without anybody changing anything."""
        return self is Reason.FETCH_FAILED


# The numbers follow sysexits.h where it has a word for the case, so that a bare exit code already says something.
EXIT_CODES: Mapping[Reason, int] = {
    Reason.SETTINGS_INVALID: 78,
    Reason.URI_UNSUPPORTED: 64,
    Reason.ARTIFACT_NOT_FOUND: 66,
    Reason.ACCESS_DENIED: 77,
    Reason.FETCH_FAILED: 69,
    Reason.ARTIFACT_TOO_LARGE: 73,
    Reason.DIGEST_MISMATCH: 65,
    Reason.FORMAT_UNKNOWN: 76,
    Reason.LOAD_FAILED: 70,
    Reason.VERSION_MISMATCH: 79,  # the first after sysexits.h, which has no word for it
    Reason.WARMUP_FAILED: 71,
    Reason.SAMPLE_MISMATCH: 80,
    Reason.ADDRESS_REFUSED: 81,
    Reason.ARCHIVE_REFUSED: 82,
    Reason.DIGEST_CHANGED: 83,
    Reason.LIMIT_EXCEEDED: 84,
    Reason.PICKLE_REFUSED: 85,
    Reason.POLICY_VIOLATION: 86,
    Reason.SIGNATURE_INVALID: 87,
    Reason.SECRET_MISSING: 88,
    Reason.INTERNAL_ERROR: 1,
}


class StartFailure(Exception):  # noqa: N818 - named for what it means
    """The process can't get to the point of serving; `message` says what is wrong, where, and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class RequestError(Exception):
    """One request can't be answered; `message` is for the caller and holds nothing internal."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(RequestError):  # noqa: N818 - named for what it means
    """The caller's data doesn't fit the protocol or the model."""


class ModelFailed(RequestError):  # noqa: N818 - named for what it means
    """The model raised on input that fits its signature."""


class Overloaded(RequestError):  # noqa: N818 - named for what it means
    """More work is waiting than this process is willing to hold."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceeded(RequestError):  # noqa: N818 - named for what it means
    """The caller's deadline passed before there was an answer."""


class UnknownModel(RequestError):  # noqa: N818 - named for what it means
    """The request names a model or a version that is not served here."""


class UnsupportedMedia(RequestError):  # noqa: N818 - named for what it means
    """The body is in a form or an encoding that is not taken."""


class NotAcceptable(RequestError):  # noqa: N818 - named for what it means
    """The caller accepts no form that an answer can have."""


class TooLarge(RequestError):  # noqa: N818 - named for what it means
    """The body has more bytes than are taken, once it is uncompressed."""


class NotReady(RequestError):  # noqa: N818 - named for what it means
    """No model is loaded and warmed."""


def termination_message(failure: StartFailure, stage: lifecycle.Stage) -> bytes:
    """Gives the JSON object for the termination message, at most 4096 bytes, cut within the message if it must be."""

    def encode(message: str) -> bytes:
        fields = {"reason": failure.reason.value, "message": message, "stage": stage.value}
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")

    message = failure.message
    while len(encoded := encode(message)) > TERMINATION_MESSAGE_BYTES:
        # JSON writes a character in six bytes at most: this many must go, and one more for the ellipsis.
        excess_characters = (len(encoded) - TERMINATION_MESSAGE_BYTES) // 6 + 2
        message = message[:-excess_characters] + "…"
    return encoded
