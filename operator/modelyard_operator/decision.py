"""One visit's decision: from a resource and what was seen around it to the writes that are needed, in order.

Called by `reconciler`, which carries the writes out; nothing here knows whether what was seen came from memory or was
read live. What stops a decision (a spec that can't work, a name that is taken) is part of its result, because the
status has to say it. Pure: the same input gives the same decision.
"""

from collections.abc import Iterator, Sequence

import msgspec

from modelyard_operator import (
    adoption,
    api,
    config,
    desired,
    errors,
    guard,
    locks,
    marks,
    objects,
    plan,
    policy,
    recovery,
    revisions,
    rollback,
    rollout,
    updates,
)
from modelyard_operator import visit as visits
from modelyard_operator.desired import pod, revision
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed


class Decision(msgspec.Struct, frozen=True):
    """What a visit has found out so far, and the writes that follow from it."""

    visit: visits.Visit
    actions: tuple[plan.Action, ...] = ()


def decide(
    body: Manifest,
    seen: Observed,
    settings: config.OperatorConfig,
    turn: updates.Turn = updates.Turn.WAITING,
) -> Decision:
    """Give the decision about one ModelDeployment as it came from the API server.

    `turn` says whether it may adopt a newer runtime image now, if it waits for one.
    """
    visit = visits.Visit(identity=api.parse_identity(body), seen=seen, cluster_domain=settings.cluster_domain)
    try:
        model_deployment = api.parse(body)
        visit = _aim(model_deployment, visit, settings, turn)
        annotations = model_deployment.spec.service.annotations
        pod.check_metadata("spec.service.annotations", annotations, settings)
        broken = _check_policy(model_deployment, visit, settings)
        actions, visit = _actions(model_deployment, visit, settings)
    except (errors.Stalled, errors.Waiting) as outcome:
        return Decision(msgspec.structs.replace(visit, outcome=outcome))
    if broken is not None:
        visit = msgspec.structs.replace(visit, outcome=broken)
    if model_deployment.spec.paused:
        held = tuple(str(action) for action in actions)
        return Decision(msgspec.structs.replace(visit, held=held))
    return Decision(visit, actions)


def _aim(
    model_deployment: api.ModelDeployment,
    visit: visits.Visit,
    settings: config.OperatorConfig,
    turn: updates.Turn,
) -> visits.Visit:
    """Give the visit with the revision that is wanted and the one that is to run."""
    ours = recovery.with_record(model_deployment, visit.ours)
    stored = updates.newest(model_deployment, ours.revisions)
    wanted = objects.name(stored) if stored else revisions.name(model_deployment)
    target = rollout.choose(model_deployment, wanted, ours)
    target = rollback.within_rules(target, model_deployment, wanted, ours, settings.policy)
    update = updates.judge(model_deployment, target, ours, settings)
    update = msgspec.structs.replace(update, turn=turn)
    if update.state is updates.State.DUE and policy.violation(
        model_deployment, update.newer, settings.policy
    ):
        # It must not take the others' turn for what it may not do.
        update = msgspec.structs.replace(update, state=updates.State.IDLE)
    if update.state is updates.State.DUE and turn is updates.Turn.GRANTED:
        wanted = updates.revision_for(model_deployment, update, ours.revisions)
        target = rollout.Target(wanted)
    return msgspec.structs.replace(
        visit, model_deployment=model_deployment, revision=wanted, target=target, update=update
    )


def _check_policy(
    model_deployment: api.ModelDeployment, visit: visits.Visit, settings: config.OperatorConfig
) -> errors.Stalled | None:
    """Give the rule that is broken by what the Deployment runs already: it is told, and the pods are left alone.

    Nothing is applied that would start what the rules forbid: a revision that the Deployment doesn't run, or more pods.
    What a failed revision is rolled back to has been judged (`rollback`).

    Raises:
        errors.Stalled: PolicyViolation.
    """
    policy.check_size(model_deployment, settings.policy)
    update = visit.update
    is_adopted = update.state is updates.State.DUE and update.turn is updates.Turn.GRANTED
    is_rolled_back = visit.target.failed is not None
    image = update.newer if is_adopted else "" if is_rolled_back else update.image
    broken = policy.violation(model_deployment, image, settings.policy)
    is_to_start = not is_rolled_back and revisions.deployed(visit.ours) != visit.revision
    if broken is not None and is_to_start:
        raise broken
    return broken


def _actions(
    model_deployment: api.ModelDeployment, visit: visits.Visit, settings: config.OperatorConfig
) -> tuple[tuple[plan.Action, ...], visits.Visit]:
    """Give every write that is needed, and the visit with what is wrong with a lock.

    The revisions come first, so that no pod runs what isn't recorded; the locks last, and they hold up nothing.
    """
    seen, target = visit.seen, visit.target
    stored = revisions.find(visit.revision, seen.revisions)
    snapshot = _snapshot(model_deployment, visit, stored, settings)
    first = plan.converge_revision(snapshot, stored)
    running = snapshot if target.failed is None else revisions.find(target.revision, seen.revisions)
    template = revision.stored_template(running or snapshot)
    wanted = desired.children(model_deployment, template, creating=seen.deployment is None)
    earlier = rollout.last_ready(visit.revision, visit.ours.revisions)
    kept = {visit.revision, target.revision} | ({objects.name(earlier)} if earlier else set())
    limit = model_deployment.spec.revision_history_limit
    expired = revisions.expired(kept, limit, seen.revisions, seen.replica_sets)
    others = plan.plan(visit.identity, wanted, seen, expired)
    measures = guard.measures(visit.identity, seen, visit.ours, (visit.revision, target.revision), expired)
    visit = msgspec.structs.replace(visit, outcome=measures.trouble)
    return (*_marks_of_others(visit, expired), *first, *others, *measures.actions), visit


def _snapshot(
    model_deployment: api.ModelDeployment,
    visit: visits.Visit,
    stored: Manifest | None,
    settings: config.OperatorConfig,
) -> Manifest:
    """Give the wanted ControllerRevision: its data as stored, rendered only when it is seen for the first time.

    Raises:
        errors.Stalled: NameTaken; and what rendering raises.
        errors.Waiting: as for `plan.plan`.
    """
    number = revisions.number(visit.revision, visit.seen.revisions)
    if (
        stored is None
        or not objects.is_owned_by(stored, visit.identity.uid)
        or "deletionTimestamp" in stored["metadata"]
    ):
        lost = recovery.lost_record(model_deployment, visit.ours) if stored is None else None
        if lost is not None and objects.name(lost) == visit.revision:
            return lost
        data = {
            "intent": revisions.intent(model_deployment),
            "template": pod.render(model_deployment, visit.revision, settings),
        }
        if stored is None:
            record = revision.build(visit.identity, visit.revision, data, number, {})
            taken_over = marks.annotations(lock=locks.of(record, visit.ours))
            return revision.rebuild(visit.identity, record, taken_over)
        if not adoption.is_adoptable(stored, visit.seen, visit.identity, data):
            plan.refuse(visit.identity, stored)
    if not revisions.is_readable(stored):
        raise errors.Stalled(
            "NameTaken",
            f"{objects.describe(stored)} does not hold a revision that this operator can read. Delete it to have it"
            " made anew.",
        )
    # Whoever may ask for a rollback needs to know what to go back to; for all others the mark is made at the switch.
    is_marked = model_deployment.spec.rollout.on_failure == "Rollback"
    is_ready = is_marked and rollout.proves_ready(visit.revision, visit.ours)
    written = marks.annotations(
        ready=marks.was_ready(stored) or is_ready,
        failed=visit.target.failed,
        lock=locks.of(stored, visit.ours),
    )
    return revision.build(visit.identity, visit.revision, stored["data"], number, written)


def _marks_of_others(visit: visits.Visit, expired: Sequence[Manifest]) -> Iterator[plan.Action]:
    """Give the writes on revisions that aren't wanted: what is replaced was ready, and what failed may be tried again.

    The moment before the Deployment is changed is the last at which it can be seen that what it ran was ready.
    """
    seen = visit.ours
    for stored in seen.revisions:
        name = objects.name(stored)
        if name == visit.revision or stored in expired:
            continue
        is_ready = marks.was_ready(stored) or rollout.proves_ready(name, seen)
        written = marks.annotations(ready=is_ready, lock=locks.of(stored, seen))
        yield from plan.converge_revision(revision.rebuild(visit.identity, stored, written), stored)
