"""The ways a reconcile can end other than well. Every module raises these; two modules interpret them.

    Stalled        only the user can help: no retry before the next change of the resource or the resync
    Waiting        expected to pass by itself: come back after `retry_after_seconds`
    ClusterError   the API server refused or didn't answer: retry with backoff
    NotLeading     a ClusterError of our own making: another operator may be writing, so this one must not
    ConfigInvalid  the operator's own environment is wrong: the process doesn't start

Only `workqueue` turns them into a requeue and only `status` turns them into conditions.
Pure: knows no transport and no clock.
"""

# With these words, and as an internal error, the API server answers an apply when what is sent, or what is there, has
# an unknown field or a wrong type.
_NO_SUCH_SHAPE = "failed to create typed "


class Stalled(Exception):  # noqa: N818 - named for what it means
    """The resource can't work as it is; `reason` is one of `conditions.STALLED`, `message` says how to help."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Waiting(Exception):  # noqa: N818 - named for what it means
    """Something expected hasn't happened yet; `reason` is one of `conditions.RECONCILING`."""

    def __init__(self, reason: str, message: str, retry_after_seconds: float) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class ClusterError(Exception):
    """One API call failed.

    Attributes:
        what: the call for people, e.g. "apply Deployment default/iris".
        status: the HTTP status, 0 when there was no answer.
        message: the server's own words, or what happened to the connection.
        retry_after_seconds: what the server asked for, if it did.
    """

    def __init__(
        self, what: str, status: int, message: str, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"{what}: {message}" + (f" (HTTP {status})" if status else ""))
        self.what = what
        self.status = status
        self.message = message
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_refusal(self) -> bool:
        """Says whether the server understood the object and found it invalid: the same object will never pass."""
        return self.status in (400, 422) or (self.status == 500 and _NO_SUCH_SHAPE in self.message)


class NotLeading(ClusterError):  # noqa: N818 - named for what it means
    """A write was held back because this process doesn't hold the Lease, or could not renew it in time."""

    def __init__(self, what: str) -> None:
        super().__init__(what, 0, "held back: this operator is not the leader")


class ConfigInvalid(Exception):  # noqa: N818 - named for what it means
    """A setting of the operator can't be used; the message names the variable and what to write instead."""
