"""Answers the question of `Ready`: is everything that was asked for rolled out, and if not, who has to do what?

Called by `status`, which writes the answer into conditions. An answer comes with Reconciling (it goes on by itself),
with Stalled (only the author gets further) or with neither, never with both. Pure.
"""

import msgspec

from modelyard_operator import conditions, errors, failures, revisions, rollout
from modelyard_operator import visit as visits


class Verdict(msgspec.Struct, frozen=True):
    """The answer to Ready, and which of Reconciling and Stalled it comes with, if any."""

    ready: str
    reason: str
    message: str
    also: str = ""


def judge(visit: visits.Visit, pods: visits.Pods, now: str) -> Verdict:
    """Give the answer for one visit; `now` is the time in RFC 3339."""
    if visit.outcome is not None:
        return _of_outcome(visit.outcome)
    if visit.held:
        text = f"Paused; held back: {'; '.join(visit.held)}. Set spec.paused to false to go on."
        return Verdict("False", conditions.PAUSED, text)
    if visit.target.failed is not None:
        return _of_rollback(visit, pods)
    deployment = visit.ours.deployment
    if deployment is None or not revisions.is_observed(deployment):
        text = "Waiting for Kubernetes' Deployment controller to look at the newest change."
        return Verdict("Unknown", conditions.OBSERVING, text, conditions.RECONCILING)
    return _of_stop(pods) if pods.least == 0 else _of_rollout(visit, pods, now)


def _of_outcome(outcome: visits.Outcome) -> Verdict:
    if isinstance(outcome, errors.Stalled):
        return Verdict("False", outcome.reason, outcome.message, conditions.STALLED)
    if isinstance(outcome, errors.Waiting):
        return Verdict("False", outcome.reason, outcome.message, conditions.RECONCILING)
    text = f"{outcome.what}: {outcome.message}"
    if outcome.is_refusal:
        return Verdict("False", conditions.CHILD_REJECTED, text, conditions.STALLED)
    return Verdict("False", conditions.CLUSTER_ERROR, text, conditions.RECONCILING)


def _of_stop(pods: visits.Pods) -> Verdict:
    if pods.replicas:
        text = f"Stopping: {pods.replicas} pods are left."
        return Verdict("False", conditions.STOPPING, text, conditions.RECONCILING)
    return Verdict("True", conditions.STOPPED, "Stopped: replicas is 0. Set spec.replicas to serve again.")


def _of_rollback(visit: visits.Visit, pods: visits.Pods) -> Verdict:
    failed, target = visit.target.failed, visit.target.revision
    assert failed is not None  # noqa: S101 - the caller has looked
    where = f"pod {failed.pod}, " if failed.pod else ""
    text = (
        f"Revision {visit.revision} failed ({where}{failed.reason}: {failed.message.rstrip('.')}) and was rolled back"
        f" to {target}. Change the spec to try again; another number of replicas is no new try."
    )
    if not visits.is_settled(visit):
        text += f" {pods.of(target).ready} of {max(pods.asked_for, pods.least)} pods of {target} are ready."
        also = failures.diagnose(target, visit.ours)  # its bytes may have changed since it was ready
        text += f" Pod {also.pod}: {also.reason}: {also.message}" if also else ""
    text += f" {visit.target.forbidden}" if visit.target.forbidden else ""
    return Verdict("False", conditions.ROLLED_BACK, text, conditions.STALLED)


def _of_rollout(visit: visits.Visit, pods: visits.Pods, now: str) -> Verdict:
    if visits.is_settled(visit):
        return Verdict("True", conditions.ROLLED_OUT, f"Revision {visit.revision} is rolled out and ready.")
    seen = visit.ours
    failure = failures.diagnose(visit.revision, seen)
    lasting = rollout.failure(visit.revision, seen)
    told = lasting or failure
    if told is not None:
        text = f"Pod {told.pod}: {told.message}" if told.pod else told.message
        text += f" {visit.target.forbidden}" if visit.target.forbidden else ""
        return Verdict("False", told.reason, text, conditions.STALLED if lasting else conditions.RECONCILING)
    wanted = pods.of(visit.revision)
    text = f"{wanted.ready} of {max(pods.asked_for, pods.least)} pods of revision {visit.revision} are ready"
    step = failures.step(visit.revision, seen.pods, now)
    text += f"; {step}" if step else ""
    older = pods.ready - wanted.ready
    text += f"; {older} pods of an earlier revision still serve" if older else ""
    is_complete = revisions.is_complete(visit.revision, seen)
    reason = conditions.PODS_NOT_READY if is_complete else conditions.ROLLING_OUT
    return Verdict("False", reason, f"{text}.", conditions.RECONCILING)
