"""Finds out from a revision's own pods why they don't become ready, and at which step they are.

Called by `rollout`, `verdict` and `status`. What one container says is read by `containers`, what the scheduler says by
`scheduling`. Pods of other revisions never count, but that they may be in the way. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from modelyard_operator import (
    api,
    conditions,
    containers,
    durations,
    explanations,
    naming,
    redaction,
    revisions,
    scheduling,
)
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed

MESSAGE_LIMIT = 1024
_CONTAINERS = (
    ("initContainerStatuses", naming.FETCH),
    ("initContainerStatuses", naming.PREPARE),
    ("containerStatuses", naming.SERVE),
)


def diagnose(revision: str, seen: Observed) -> api.Failure | None:
    """Give the first failure among a revision's pods, oldest pod first; None while nothing has failed."""
    own = own_pods(revision, seen.pods)
    for pod in own:
        failure = _of_scheduling(revision, pod, seen) or _of_containers(pod)
        if failure is not None:
            return _told_by(pod, failure)
    if any(_status(pod, "containerStatuses", naming.SERVE).get("ready") for pod in own):
        return _of_replica_sets(revision, seen)
    return _of_replica_sets(revision, seen) or _of_evictions(revision, seen.pods)


def never_ready(revision: str, seen: Observed) -> api.Failure | None:
    """Give the failure of a rollout that is late although a container runs: its probes don't succeed."""
    for pod in own_pods(revision, seen.pods):
        if containers.is_up_but_not_ready(_status(pod, "containerStatuses", naming.SERVE)):
            text = (
                f"Container {naming.SERVE} runs, and {containers.probe(pod, naming.SERVE)}, does not succeed. Look at"
                " its log; raise spec.rollout.progressDeadlineSeconds when the model needs longer to load."
            )
            return _told_by(pod, api.Failure(conditions.PROBE_FAILED, text))
    return None


def step(revision: str, pods: Sequence[Manifest], now: str = "") -> str:
    """Give in words what the oldest pod that isn't ready is doing; empty when there is none.

    `now` in RFC 3339 lets it say for how long, in few steps that stay true, so that a status isn't written each second.
    """
    for pod in own_pods(revision, pods):
        serving = _status(pod, "containerStatuses", naming.SERVE)
        if serving.get("ready"):
            continue
        fetching = _status(pod, "initContainerStatuses", naming.FETCH)
        preparing = _status(pod, "initContainerStatuses", naming.PREPARE)
        if "running" in serving.get("state", {}):
            doing = "was ready and isn't any more" if serving.get("started") else "is loading the model"
        elif "running" in fetching.get("state", {}):
            doing = durations.doing("fetching the artifact", fetching["state"]["running"], now)
        elif "running" in preparing.get("state", {}):
            doing = "is preparing the model"
        elif scheduling.message_of(pod) is not None:
            doing = "waits for a node"
        else:
            doing = "is being started"
        return f"{pod['metadata']['name']} {doing}"
    return ""


def own_pods(revision: str, pods: Sequence[Manifest]) -> list[Manifest]:
    """Give the revision's pods that count: not being deleted and not over, oldest first."""
    return [pod for pod in _pods_of(revision, pods) if not _is_over(pod)]


def _pods_of(revision: str, pods: Sequence[Manifest]) -> list[Manifest]:
    counting = (
        pod
        for pod in pods
        if revisions.revision_of(pod) == revision and "deletionTimestamp" not in pod["metadata"]
    )
    return sorted(
        counting, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"])
    )


def _is_over(pod: Manifest) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def _of_scheduling(revision: str, pod: Manifest, seen: Observed) -> api.Failure | None:
    message = scheduling.message_of(pod)
    if message is None:
        return None
    claim = scheduling.missing_claim(message)
    if claim:
        text = f"Volume claim {claim} does not exist in this namespace. Create it, or name another."
        return api.Failure(conditions.VOLUME_CLAIM_MISSING, text)
    if scheduling.shortages(message) and any("deletionTimestamp" in each["metadata"] for each in seen.pods):
        return None  # what a pod that is being stopped holds is about to be free
    text = scheduling.explain(pod, message)
    others = [
        each for each in seen.pods if revisions.revision_of(each) not in ("", revision) and not _is_over(each)
    ]
    if _is_rolling(seen) and scheduling.are_in_the_way(pod, message, others):
        short = ", ".join(scheduling.shortages(message))
        text = (
            f"The pods of the earlier revision hold what the new pod needs ({short}), and go only when it is ready."
            " Set spec.rollout.strategy: Recreate to stop them first, or add a node."
            f" In the scheduler's words: {message}"
        )
        return api.Failure(conditions.ROLLOUT_DEADLOCKED, text)
    return api.Failure(conditions.UNSCHEDULABLE, text)


def _of_containers(pod: Manifest) -> api.Failure | None:
    found = (containers.diagnose(pod, _status(pod, field, name)) for field, name in _CONTAINERS)
    return next((failure for failure in found if failure is not None), None)


def _of_replica_sets(revision: str, seen: Observed) -> api.Failure | None:
    """Give why no pod could even be made: quota or policy."""
    for replica_set in seen.replica_sets:
        if revisions.revision_of(replica_set) != revision:
            continue
        for condition in replica_set.get("status", {}).get("conditions") or ():
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                return _short(_of_refusal(condition.get("message", ""), seen))
    return None


def _of_refusal(message: str, seen: Observed) -> api.Failure:
    full = explanations.quota(message)
    if full is None:
        text = f"The API server refuses the pod: {explanations.refusal(message)}"
        return api.Failure(conditions.POD_REFUSED, text)
    remedy = "Ask for less in spec.resources, free some, or ask the administrator for a larger quota"
    remedy += "; or stop the old pods first with spec.rollout.strategy: Recreate" * _is_rolling(seen)
    return api.Failure(conditions.QUOTA_EXCEEDED, f"{full}. {remedy}.")


def _of_evictions(revision: str, pods: Sequence[Manifest]) -> api.Failure | None:
    """Give why the node threw the newest of the revision's lost pods out, while no other is ready."""
    lost = [pod for pod in _pods_of(revision, pods) if pod.get("status", {}).get("reason") == "Evicted"]
    if not lost:
        return None
    message = str(lost[-1]["status"].get("message", "")).strip()
    text = f"The node evicted the pod: {message} A new one is tried; ask for what the model needs in spec.resources."
    return _told_by(lost[-1], api.Failure(conditions.POD_EVICTED, text))


def _is_rolling(seen: Observed) -> bool:
    strategy = (seen.deployment or {}).get("spec", {}).get("strategy", {})
    return bool(strategy.get("type") == "RollingUpdate")


def _told_by(pod: Manifest, failure: api.Failure) -> api.Failure:
    return _short(msgspec.structs.replace(failure, pod=pod["metadata"]["name"]))


def _short(failure: api.Failure) -> api.Failure:
    """Give a failure whose text fits a status and holds no secret: it may be the tail of somebody's log."""
    text = redaction.redact(failure.message)
    text = text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"
    return msgspec.structs.replace(failure, message=text)


def _status(pod: Manifest, field: str, container: str) -> Mapping[str, Any]:
    statuses: Iterable[Mapping[str, Any]] = pod.get("status", {}).get(field) or ()
    return next((status for status in statuses if status["name"] == container), {})
