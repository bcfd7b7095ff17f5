"""Says what is: turns one visit's facts into the status of the ModelDeployment. The only writer of conditions.

Two questions, never one answer: does something serve now (Available), and is what was asked for rolled out (Ready)?
Called by `reconciler`. Pure: the time is an argument, and a status that says the same as before is equal to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard_operator import (
    api,
    conditions,
    failures,
    locks,
    naming,
    redaction,
    revisions,
    updates,
    verdict,
)
from modelyard_operator import visit as visits
from modelyard_operator.objects import Kind


def summarize(visit: visits.Visit, before: Mapping[str, Any], now: str) -> api.Status:
    """Give the status after a visit; `before` is the status that is there, `now` the time in RFC 3339."""
    pods = visits.count(visit)
    roles = revisions.roles(visit.revision, visit.ours)
    stable = _block(roles.stable, visit, pods)
    candidate = _block(roles.candidate, visit, pods) if visit.revision else None
    found = verdict.judge(visit, pods, now)
    answers = [_available(pods), (conditions.READY, found.ready, found.reason, found.message)]
    if found.also:
        answers.append((found.also, "True", found.reason, found.message))
    return api.Status(
        observed_generation=visit.identity.generation,
        conditions=[_condition(answer, before, visit.identity.generation, now) for answer in answers],
        replicas=pods.replicas,
        ready_replicas=pods.ready,
        updated_replicas=pods.of(visit.revision).replicas,
        available=f"{pods.ready}/{pods.asked_for}",
        selector=naming.selector_text(visit.identity.name),
        url=_url(visit),
        format=shown.format if (shown := stable or candidate) else "",
        digest=(stable.digest if stable else "").removeprefix("sha256:")[:12],
        runtime=_runtime(visit),
        stable=stable,
        candidate=candidate,
    )


def _available(pods: visits.Pods) -> tuple[str, str, str, str]:
    counted = f"{pods.ready} of {pods.asked_for} pods ready."
    if pods.ready:
        return conditions.AVAILABLE, "True", conditions.PODS_READY, counted
    if pods.asked_for == 0:
        return conditions.AVAILABLE, "False", conditions.STOPPED, "Stopped: replicas is 0."
    return conditions.AVAILABLE, "False", conditions.NO_POD_READY, counted


def _block(revision: str, visit: visits.Visit, pods: visits.Pods) -> api.RevisionStatus | None:
    if not revision:
        return None
    stored = revisions.find(revision, visit.ours.revisions)
    model = stored["data"]["intent"]["model"] if stored else {}
    told = locks.known(revision, visit.ours)
    count = pods.of(revision)
    given_up = visit.target.failed if revision == visit.revision else None  # its pods are gone
    return api.RevisionStatus(
        revision=revision,
        uri=redaction.redact(model.get("uri", "")),
        format=model.get("format") or (told.format if told else ""),
        digest=model.get("digest") or (told.digest if told else ""),
        ready=count.ready,
        replicas=count.replicas,
        failure=given_up.failure if given_up else failures.diagnose(revision, visit.ours),
    )


def _runtime(visit: visits.Visit) -> api.RuntimeStatus | None:
    if visit.model_deployment is None or not visit.update.image:
        return None
    message = updates.explain(visit.model_deployment, visit.update)
    return api.RuntimeStatus(image=visit.update.image, newer=visit.update.newer, message=message)


def _url(visit: visits.Visit) -> str:
    service = visit.ours.children.get(Kind.SERVICE)
    ports = service["spec"].get("ports") if service else None
    if not ports:
        return ""  # somebody may have changed the Service while the resource is paused
    name, namespace = visit.identity.name, visit.identity.namespace
    return naming.service_url(name, namespace, ports[0], visit.cluster_domain)


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
        message=redaction.redact(message),  # others' words are in it, and everybody who may read it does
        last_transition_time=same["lastTransitionTime"] if same else now,
        observed_generation=generation,
    )
