"""Finds out from a revision's own pods why they don't become ready, and at which step they are.

Called by `status`. The runtime's own words (its termination message) come first; what only the outside can see, a
missing Secret or a node that is too small, is told in the same shape. Pods of other revisions never count. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from modelyard_operator import api, conditions, naming, revisions
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed

MESSAGE_LIMIT = 1024
_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_RESTARTS_OF_A_LOOP = 2


class _TerminationMessage(msgspec.Struct, frozen=True):
    """What the runtime writes when it ends; other fields are of no interest here."""

    reason: str
    message: str


def diagnose(revision: str, seen: Observed) -> api.Failure | None:
    """Give the first failure among a revision's pods, oldest pod first; None while nothing has failed."""
    for pod in own_pods(revision, seen.pods):
        failure = _of_pod(pod)
        if failure is not None:
            return failure
    return _of_replica_sets(revision, seen.replica_sets)


def step(revision: str, pods: Sequence[Manifest]) -> str:
    """Give in words what the oldest pod that isn't ready is doing; empty when there is none."""
    for pod in own_pods(revision, pods):
        serving = _status(pod, "containerStatuses", naming.SERVE)
        if serving.get("ready"):
            continue
        fetching = _status(pod, "initContainerStatuses", naming.FETCH)
        if "running" in serving.get("state", {}):
            doing = "is loading the model"
        elif "running" in fetching.get("state", {}):
            doing = "is fetching the artifact"
        else:
            doing = "is being started"
        return f"{pod['metadata']['name']} {doing}"
    return ""


def own_pods(revision: str, pods: Sequence[Manifest]) -> list[Manifest]:
    """Give the revision's pods that count: not being deleted and not over, oldest first."""
    counting = (
        pod
        for pod in pods
        if revisions.revision_of(pod) == revision
        and "deletionTimestamp" not in pod["metadata"]
        and pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")
    )
    return sorted(
        counting, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"])
    )


def _of_pod(pod: Manifest) -> api.Failure | None:
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            text = f"No node can take the pod: {condition.get('message', '')}"
            return _failure(pod, conditions.UNSCHEDULABLE, text)
    for field, name in (("initContainerStatuses", naming.FETCH), ("containerStatuses", naming.SERVE)):
        failure = _of_container(pod, _status(pod, field, name))
        if failure is not None:
            return failure
    return None


def _of_container(pod: Manifest, status: Mapping[str, Any]) -> api.Failure | None:
    if not status or status.get("ready"):
        return None
    waiting = status.get("state", {}).get("waiting", {})
    if waiting.get("reason") in _IMAGE_REASONS:
        text = f"The image {status.get('image', '')} can't be pulled: {waiting.get('message', waiting['reason'])}"
        return _failure(pod, conditions.IMAGE_PULL_FAILED, text)
    if waiting.get("reason") == "CreateContainerConfigError":
        text = f"{waiting.get('message', '')}. Create it, or correct spec.model.credentials.secretName."
        return _failure(pod, conditions.SECRET_MISSING, text)
    ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    if not ended or ended.get("exitCode") == 0:
        return None
    return _of_exit(pod, status, ended, is_looping=waiting.get("reason") == "CrashLoopBackOff")


def _of_exit(
    pod: Manifest, status: Mapping[str, Any], ended: Mapping[str, Any], *, is_looping: bool
) -> api.Failure | None:
    exit_code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, status["name"])
        text = f"Container {status['name']} exceeded its memory limit of {limit}. Raise spec.resources.limits.memory."
        return _failure(pod, conditions.OUT_OF_MEMORY, text, exit_code)
    told = _told(ended.get("message", ""))
    if told is not None:
        return _failure(pod, told.reason, told.message, exit_code)
    if is_looping or status.get("restartCount", 0) >= _RESTARTS_OF_A_LOOP:
        tail = ended.get("message", "").strip() or ended.get("reason", "")
        text = f"Container {status['name']} ends again and again with exit code {exit_code}. Its last words: {tail}"
        return _failure(pod, conditions.CRASH_LOOP, text, exit_code)
    return None


def _told(message: str) -> _TerminationMessage | None:
    """Give what the runtime said, if it was the runtime: the file can also hold the tail of a log."""
    try:
        told = msgspec.json.decode(message, type=_TerminationMessage)
    except msgspec.DecodeError:
        return None
    return told if told.reason in conditions.RUNTIME_FAILURES else None


def _of_replica_sets(revision: str, replica_sets: Iterable[Manifest]) -> api.Failure | None:
    """Give why no pod could even be made: quota or policy."""
    for replica_set in replica_sets:
        if revisions.revision_of(replica_set) != revision:
            continue
        for condition in replica_set.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                text = condition.get("message", "")
                reason = conditions.QUOTA_EXCEEDED if "exceeded quota" in text else conditions.POD_REFUSED
                return api.Failure(reason=reason, message=_short(f"No pod can be created: {text}"))
    return None


def _failure(pod: Manifest, reason: str, message: str, exit_code: int | None = None) -> api.Failure:
    return api.Failure(
        reason=reason, message=_short(message), pod=pod["metadata"]["name"], exit_code=exit_code
    )


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


def _status(pod: Manifest, field: str, container: str) -> Mapping[str, Any]:
    statuses: Iterable[Mapping[str, Any]] = pod.get("status", {}).get(field) or ()
    return next((status for status in statuses if status["name"] == container), {})


def _memory_limit(pod: Manifest, container: str) -> str:
    specs = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    resources: Mapping[str, Any] = next(
        (each.get("resources", {}) for each in specs if each["name"] == container), {}
    )
    return str(resources.get("limits", {}).get("memory", "unknown size"))
