"""Says what is: turns one visit's facts into the status of the ModelDeployment. The only writer of conditions.

Two questions, never one answer: does something serve now (Available), and is what was asked for rolled out (Ready)?
Called by `reconciler`. Pure: the time is an argument, and a status that says the same as before is equal to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from modelyard_operator import api, conditions, errors, failures, naming, objects, revisions
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed

Outcome = errors.Stalled | errors.Waiting | errors.ClusterError


class Visit(msgspec.Struct, frozen=True):
    """What one reconcile found and did.

    Attributes:
        identity: whose visit it was.
        seen: the cluster after our writes.
        model_deployment: None when the spec could not be understood.
        revision: the revision that is wanted; empty when that is unknown.
        held: the writes that `spec.paused` holds back, in words.
        outcome: why the visit ended early, if it did.
        cluster_domain: for the address of the Service.
    """

    identity: api.Identity
    seen: Observed
    model_deployment: api.ModelDeployment | None = None
    revision: str = ""
    held: tuple[str, ...] = ()
    outcome: Outcome | None = None
    cluster_domain: str = "cluster.local"


class _Verdict(msgspec.Struct, frozen=True):
    """The answer to Ready, and which of Reconciling and Stalled it comes with, if any."""

    ready: str
    reason: str
    message: str
    also: str = ""


class _Pods(msgspec.Struct, frozen=True):
    """The numbers that all answers are made from."""

    running: tuple[revisions.Running, ...]
    wanted: revisions.Running
    asked_for: int  # what the Deployment aims at now; an autoscaler may have chosen it
    least: int  # ready pods that fulfil the spec

    @property
    def ready(self) -> int:
        """Ready pods of every revision."""
        return sum(each.ready for each in self.running)

    @property
    def replicas(self) -> int:
        """Pods of every revision."""
        return sum(each.replicas for each in self.running)


def is_settled(visit: Visit) -> bool:
    """Says whether the wanted revision is rolled out and ready, so that no pod has to be asked why it isn't."""
    pods = _pods(visit)
    return (
        revisions.is_complete(visit.revision, visit.seen.deployment)
        and pods.wanted.ready >= pods.least
        and pods.replicas == pods.wanted.replicas
    )


def summarize(visit: Visit, before: Mapping[str, Any], now: str) -> api.Status:
    """Give the status after a visit; `before` is the status that is there, `now` the time in RFC 3339."""
    pods = _pods(visit)
    roles = revisions.roles(visit.revision, pods.running, visit.seen.deployment)
    stable = _block(roles.stable, visit.seen, pods)
    candidate = _block(roles.candidate, visit.seen, pods) if visit.revision else None
    verdict = _verdict(visit, pods)
    answers = [_available(pods), (conditions.READY, verdict.ready, verdict.reason, verdict.message)]
    if verdict.also:
        answers.append((verdict.also, "True", verdict.reason, verdict.message))
    return api.Status(
        observed_generation=visit.identity.generation,
        conditions=[_condition(answer, before, visit.identity.generation, now) for answer in answers],
        replicas=pods.replicas,
        ready_replicas=pods.ready,
        updated_replicas=pods.wanted.replicas,
        available=f"{pods.ready}/{pods.asked_for}",
        selector=naming.selector_text(visit.identity.name),
        url=_url(visit),
        digest=(stable.digest if stable else "").removeprefix("sha256:")[:12],
        stable=stable,
        candidate=candidate,
    )


def _pods(visit: Visit) -> _Pods:
    deployment = visit.seen.deployment
    if deployment is not None and not objects.is_owned_by(deployment, visit.identity.uid):
        deployment = None  # somebody else's: its pods say nothing about us
    running = revisions.running(visit.seen.replica_sets, deployment)
    nothing = revisions.Running(visit.revision, 0, 0)
    least = visit.model_deployment.fewest_replicas if visit.model_deployment else 1
    return _Pods(
        running=running,
        wanted=next((each for each in running if each.revision == visit.revision), nothing),
        asked_for=deployment["spec"].get("replicas", 1) if deployment else least,
        least=least,
    )


def _available(pods: _Pods) -> tuple[str, str, str, str]:
    counted = f"{pods.ready} of {pods.asked_for} pods ready."
    if pods.ready:
        return conditions.AVAILABLE, "True", conditions.PODS_READY, counted
    if pods.asked_for == 0:
        return conditions.AVAILABLE, "False", conditions.STOPPED, "Stopped: replicas is 0."
    return conditions.AVAILABLE, "False", conditions.NO_POD_READY, counted


def _verdict(visit: Visit, pods: _Pods) -> _Verdict:
    if visit.outcome is not None:
        return _of_outcome(visit.outcome)
    if visit.held:
        text = f"Paused; held back: {'; '.join(visit.held)}. Set spec.paused to false to go on."
        return _Verdict("False", conditions.PAUSED, text)
    if visit.seen.deployment is None or not revisions.is_observed(visit.seen.deployment):
        text = "Waiting for Kubernetes' Deployment controller to look at the newest change."
        return _Verdict("Unknown", conditions.OBSERVING, text, conditions.RECONCILING)
    if pods.least == 0:
        return _of_stop(pods)
    if is_settled(visit):
        return _Verdict("True", conditions.ROLLED_OUT, f"Revision {visit.revision} is rolled out and ready.")
    return _of_rollout(visit, pods)


def _of_outcome(outcome: Outcome) -> _Verdict:
    if isinstance(outcome, errors.Stalled):
        return _Verdict("False", outcome.reason, outcome.message, conditions.STALLED)
    if isinstance(outcome, errors.Waiting):
        return _Verdict("False", outcome.reason, outcome.message, conditions.RECONCILING)
    if outcome.is_refusal:
        return _Verdict(
            "False", conditions.CHILD_REJECTED, f"{outcome.what}: {outcome.message}", conditions.STALLED
        )
    return _Verdict(
        "False", conditions.CLUSTER_ERROR, f"{outcome.what}: {outcome.message}", conditions.RECONCILING
    )


def _of_stop(pods: _Pods) -> _Verdict:
    if pods.replicas:
        text = f"Stopping: {pods.replicas} pods are left."
        return _Verdict("False", conditions.STOPPING, text, conditions.RECONCILING)
    return _Verdict("True", conditions.STOPPED, "Stopped: replicas is 0. Set spec.replicas to serve again.")


def _of_rollout(visit: Visit, pods: _Pods) -> _Verdict:
    is_late = _is_late(visit.seen.deployment)
    failure = failures.diagnose(visit.revision, visit.seen.pods, visit.seen.replica_sets)
    if failure is not None:
        may_pass = failure.reason in conditions.MAY_PASS and not is_late
        also = conditions.RECONCILING if may_pass else conditions.STALLED
        text = f"Pod {failure.pod}: {failure.message}" if failure.pod else failure.message
        return _Verdict("False", failure.reason, text, also)
    text = f"{pods.wanted.ready} of {max(pods.asked_for, pods.least)} pods of revision {visit.revision} are ready"
    step = failures.step(visit.revision, visit.seen.pods)
    older = pods.ready - pods.wanted.ready
    text += (
        (f"; {step}" if step else "")
        + (f"; {older} pods of an earlier revision still serve" if older else "")
        + "."
    )
    if is_late:
        return _Verdict(
            "False", conditions.PROGRESS_DEADLINE_EXCEEDED, f"No progress: {text}", conditions.STALLED
        )
    is_complete = revisions.is_complete(visit.revision, visit.seen.deployment)
    reason = conditions.PODS_NOT_READY if is_complete else conditions.ROLLING_OUT
    return _Verdict("False", reason, text, conditions.RECONCILING)


def _is_late(deployment: Manifest | None) -> bool:
    stated = ((deployment or {}).get("status") or {}).get("conditions", ())
    return any(
        each["type"] == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded" for each in stated
    )


def _block(revision: str, seen: Observed, pods: _Pods) -> api.RevisionStatus | None:
    if not revision:
        return None
    stored = revisions.find(revision, seen.revisions)
    model = stored["data"]["intent"]["model"] if stored else {}
    count = next(
        (each for each in pods.running if each.revision == revision), revisions.Running(revision, 0, 0)
    )
    return api.RevisionStatus(
        revision=revision,
        uri=model.get("uri", ""),
        format=model.get("format", ""),
        digest=model.get("digest", ""),
        ready=count.ready,
        replicas=count.replicas,
        failure=failures.diagnose(revision, seen.pods, seen.replica_sets),
    )


def _url(visit: Visit) -> str:
    service = visit.seen.children.get(Kind.SERVICE)
    if service is None or not objects.is_owned_by(service, visit.identity.uid):
        return ""
    port = service["spec"]["ports"][0]["port"]
    return naming.service_url(visit.identity.name, visit.identity.namespace, port, visit.cluster_domain)


def _condition(
    answer: tuple[str, str, str, str], before: Mapping[str, Any], generation: int, now: str
) -> api.Condition:
    """Give the condition, its transition time kept when the answer is the same as before."""
    kind, status, reason, message = answer
    earlier: Sequence[Mapping[str, Any]] = before.get("conditions") or ()
    same = next((each for each in earlier if each["type"] == kind and each["status"] == status), None)
    return api.Condition(
        type=kind,
        status=status,  # type: ignore[arg-type]
        reason=reason,
        message=message,
        last_transition_time=same["lastTransitionTime"] if same else now,
        observed_generation=generation,
    )
