"""Which revision the Deployment should run: the one that is asked for, or the last that was ready after a failure.

Called by `decision` before anything is written, and by `status`. All it goes by is in the cluster: the Deployment, the
pods, and the marks on the ControllerRevisions (docs/adr/0007). Pure.
"""

from collections.abc import Sequence

import msgspec

from modelyard_operator import api, conditions, failures, marks, objects, revisions
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed


class Target(msgspec.Struct, frozen=True):
    """What the Deployment should run.

    Attributes:
        revision: the revision to run; empty when that is unknown.
        failed: why it is not the one that is asked for; None when it is.
        forbidden: which rule is against what was ready before, in words; empty when none is (`rollback`).
    """

    revision: str = ""
    failed: marks.Failed | None = None
    forbidden: str = ""


def choose(model_deployment: api.ModelDeployment, wanted: str, seen: Observed) -> Target:
    """Give the revision to run when `wanted` is asked for.

    Nothing is rolled back to a revision that never was ready: without one, the failed revision is held.
    """
    failed = _failed(model_deployment, wanted, seen)
    earlier = last_ready(wanted, seen.revisions)
    if failed is None or earlier is None:
        return Target(wanted)
    return Target(objects.name(earlier), failed)


def last_ready(wanted: str, stored: Sequence[Manifest]) -> Manifest | None:
    """Give the newest other revision that was ready once, None when there is none."""
    candidates = [each for each in stored if objects.name(each) != wanted and marks.was_ready(each)]
    return max(candidates, key=lambda each: (each["revision"], objects.name(each)), default=None)


def proves_ready(revision: str, seen: Observed) -> bool:
    """Says whether the cluster shows that a revision works: rolled out completely, and one of its pods is ready."""
    if not revisions.is_complete(revision, seen):
        return False
    return any(each.ready for each in revisions.running(seen) if each.revision == revision)


def is_settled(revision: str, seen: Observed, least: int) -> bool:
    """Says whether a revision is rolled out, has as many ready pods as the spec asks for, and no other has any."""
    running = revisions.running(seen)
    ready = sum(each.ready for each in running if each.revision == revision)
    others = sum(each.replicas for each in running if each.revision != revision)
    return revisions.is_complete(revision, seen) and ready >= least and not others


def failure(revision: str, seen: Observed) -> api.Failure | None:
    """Give why a revision doesn't become ready by itself, None while it still may."""
    is_late = revisions.is_late(revision, seen)
    found = failures.diagnose(revision, seen)
    if found is not None:
        return None if found.reason in conditions.MAY_PASS and not is_late else found
    if is_late:
        unready = failures.never_ready(revision, seen)
        if unready is not None:
            return unready
        seconds = (seen.deployment or {})["spec"].get("progressDeadlineSeconds")
        text = f"The rollout made no progress for {seconds} s (spec.rollout.progressDeadlineSeconds)"
        step = failures.step(revision, seen.pods)
        return api.Failure(conditions.PROGRESS_DEADLINE_EXCEEDED, text + (f": {step}." if step else "."))
    return None


def _failed(model_deployment: api.ModelDeployment, wanted: str, seen: Observed) -> marks.Failed | None:
    """Give the present attempt's failure, as it was marked or as it is seen now."""
    if model_deployment.spec.rollout.on_failure != "Rollback":
        return None
    stored = revisions.find(wanted, seen.revisions)
    marked = marks.read_failed(stored) if stored else None
    if marked is not None and marked.attempt == marks.attempt(model_deployment):
        return marked
    if revisions.deployed(seen) != wanted or revisions.is_complete(wanted, seen):
        return None  # what was ready and fails later isn't a failed rollout, and going back wouldn't cure it
    found = failure(wanted, seen)
    return marks.failed(model_deployment, found) if found else None
