"""A ControllerRevision that somebody has deleted, read back from the Deployment that runs it.

Rendered anew it could say something else than before, with a newer runtime image for example, and then its pods would
be restarted although nobody asked for it. What our field manager has applied to the Deployment is the template word
for word. Used by `decision`. Pure.

Only a Deployment of the ModelDeployment itself is believed, and only while nobody else has set anything in what its
pods run: an orphan may be forged, and somebody's change must not become the record. Otherwise the revision is rendered.
"""

from modelyard_operator import api, drift, locks, marks, naming, objects, revisions, updates
from modelyard_operator.desired import revision
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed

# Annotations are left out: `kubectl rollout restart` and other tools put theirs there, and they stay theirs.
_OURS_ALONE = (("spec", "template", "spec"), ("spec", "template", "metadata", "labels"))


def lost_record(model_deployment: api.ModelDeployment, ours: Observed) -> Manifest | None:
    """Give the ControllerRevision of the present intent that the Deployment runs and that is gone; None mostly."""
    deployment, running = ours.deployment, revisions.deployed(ours)
    if deployment is None or revisions.find(running, ours.revisions) is not None:
        return None
    identity = model_deployment.identity
    is_believed = objects.is_owned_by(deployment, identity.uid) and all(
        drift.owners(deployment, *path) == {naming.MANAGER} for path in _OURS_ALONE
    )
    if not is_believed:
        return None
    template = drift.applied(deployment, naming.MANAGER)["spec"]["template"]
    data = {"intent": revisions.intent(model_deployment), "template": template}
    record = revision.build(identity, running, data, revisions.number(running, ours.revisions), {})
    if not revisions.is_readable(record):
        return None
    record = revision.rebuild(identity, record, marks.annotations(lock=locks.of(record, ours)))
    # The name says whether it is a revision of this intent: a hash of it, and of the image once that was updated.
    names = (revisions.name(model_deployment), revisions.name(model_deployment, updates.image(record)))
    return record if running in names else None


def with_record(model_deployment: api.ModelDeployment, ours: Observed) -> Observed:
    """Give what was seen as if nothing had been deleted, for choosing what to run."""
    record = lost_record(model_deployment, ours)
    return ours if record is None else ours.with_applied(record)
