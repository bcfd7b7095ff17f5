"""One visit's decision: from a resource and what was seen around it to the writes that are needed, in order.

Called by `reconciler`, which carries the writes out; nothing here knows whether what was seen came from memory or was
read live. What stops a decision (a spec that can't work, a name that is taken) is part of its result, because the
status has to say it. Pure: the same input gives the same decision.
"""

import msgspec

from modelyard_operator import api, config, desired, errors, plan, revisions, status
from modelyard_operator.desired import pod, revision
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed


class Decision(msgspec.Struct, frozen=True):
    """What a visit has found out so far, and the writes that follow from it."""

    visit: status.Visit
    actions: tuple[plan.Action, ...] = ()


def decide(body: Manifest, seen: Observed, settings: config.OperatorConfig) -> Decision:
    """Give the decision about one ModelDeployment as it came from the API server."""
    visit = status.Visit(identity=api.parse_identity(body), seen=seen, cluster_domain=settings.cluster_domain)
    try:
        model_deployment = api.parse(body)
        visit = msgspec.structs.replace(
            visit, model_deployment=model_deployment, revision=revisions.name(model_deployment)
        )
        annotations = model_deployment.spec.service.annotations
        pod.check_metadata("spec.service.annotations", annotations, settings)
        actions = _actions(model_deployment, visit, settings)
    except (errors.Stalled, errors.Waiting) as outcome:
        return Decision(msgspec.structs.replace(visit, outcome=outcome))
    if model_deployment.spec.paused:
        held = tuple(str(action) for action in actions)
        return Decision(msgspec.structs.replace(visit, held=held))
    return Decision(visit, actions)


def _actions(
    model_deployment: api.ModelDeployment, visit: status.Visit, settings: config.OperatorConfig
) -> tuple[plan.Action, ...]:
    """Give every write that is needed: the revision first, so that no pod runs what isn't recorded."""
    seen = visit.seen
    stored = revisions.find(visit.revision, seen.revisions)
    number = revisions.number(visit.revision, seen.revisions)
    if stored is None:
        template = pod.render(model_deployment, visit.revision, settings)
        snapshot = revision.build(model_deployment, template, number)
    else:
        snapshot = revision.build(model_deployment, {}, number) | {"data": stored["data"]}
    first = plan.plan_revision(visit.identity, snapshot, stored)
    template = revision.stored_template(snapshot)
    wanted = desired.children(model_deployment, template, creating=seen.deployment is None)
    expired = revisions.expired(visit.revision, seen.revisions, seen.replica_sets)
    return (*first, *plan.plan(visit.identity, wanted, seen, expired))
