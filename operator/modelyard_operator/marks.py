"""What is written on a ControllerRevision about its revision: that it was ready, or failed, and its lock.

`rollout` decides about marks and reads them, `decision` writes them with the revision. A mark is an annotation of our
own object, so that a rollback survives the operator, and one that can't be read counts as none. Pure.
"""

import hashlib
import json

import msgspec

from modelyard_operator import api, fetched, naming
from modelyard_operator.fetched import Fetched
from modelyard_operator.objects import Manifest


class Failed(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Why a revision was given up, and which attempt that was.

    Attributes:
        attempt: what the spec asked for besides a number of pods, see `attempt`.
        generation: of the spec at that time; for people.
    """

    attempt: str
    generation: int
    reason: str
    message: str
    pod: str = ""
    exit_code: int | None = None

    @property
    def failure(self) -> api.Failure:
        """The failure as the status shows it."""
        return api.Failure(reason=self.reason, message=self.message, pod=self.pod, exit_code=self.exit_code)


def attempt(model_deployment: api.ModelDeployment) -> str:
    """Give a hash of the spec without replicas and paused.

    A generation would not do: an autoscaler that the author brings changes spec.replicas every minute, and must not
    have a failed revision rolled out again each time. Pausing and going on is no new attempt either.
    """
    spec = msgspec.structs.replace(model_deployment.spec, replicas=None, paused=False)
    canonical = json.dumps(msgspec.to_builtins(spec), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def failed(model_deployment: api.ModelDeployment, failure: api.Failure) -> Failed:
    """Give the mark for a failure of the present attempt."""
    return Failed(
        attempt=attempt(model_deployment),
        generation=model_deployment.identity.generation,
        reason=failure.reason,
        message=failure.message,
        pod=failure.pod,
        exit_code=failure.exit_code,
    )


def read_failed(stored: Manifest) -> Failed | None:
    """Give the mark that a revision failed, None when there is none or none that can be read."""
    try:
        return msgspec.json.decode(_annotations(stored).get(naming.MARK_FAILED, ""), type=Failed)
    except msgspec.DecodeError:
        return None


def was_ready(stored: Manifest) -> bool:
    """Says whether a revision was rolled out and ready once."""
    return naming.MARK_READY in _annotations(stored)


def read_lock(stored: Manifest) -> Fetched | None:
    """Give the mark that says what a revision is locked to, None when there is none or none that can be read."""
    return fetched.read(_annotations(stored).get(naming.MARK_LOCK, ""))


def annotations(
    *, ready: bool = False, failed: Failed | None = None, lock: Fetched | None = None
) -> dict[str, str]:
    """Give the annotations that say so."""
    written = {naming.MARK_READY: "true"} if ready else {}
    written |= {naming.MARK_FAILED: msgspec.json.encode(failed).decode()} if failed else {}
    return written | ({naming.MARK_LOCK: msgspec.json.encode(lock).decode()} if lock else {})


def _annotations(stored: Manifest) -> dict[str, str]:
    return stored["metadata"].get("annotations") or {}
