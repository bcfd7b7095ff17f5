"""One visit's facts: whose it was, what was seen, what was decided, how it ended; and the numbers that follow.

`decision` fills it, `reconciler` keeps it up to date while it writes, `verdict` and `status` read it. Pure data.
"""

import functools

import msgspec

from modelyard_operator import adoption, api, errors, revisions, rollout, updates
from modelyard_operator.observed import Observed

Outcome = errors.Stalled | errors.Waiting | errors.ClusterError


class Visit(msgspec.Struct, frozen=True, dict=True):
    """What one reconcile found and did.

    Attributes:
        identity: whose visit it was.
        seen: the cluster after our writes.
        model_deployment: None when the spec could not be understood.
        revision: the revision that is wanted; empty when that is unknown.
        target: the revision that the Deployment should run, the wanted one unless that failed.
        update: whether there is a newer runtime image, and what becomes of it.
        held: the writes that `spec.paused` holds back, in words.
        outcome: why the visit ended early, if it did.
        cluster_domain: for the address of the Service.
    """

    identity: api.Identity
    seen: Observed
    model_deployment: api.ModelDeployment | None = None
    revision: str = ""
    target: rollout.Target = rollout.Target()
    update: updates.Update = updates.Update()
    held: tuple[str, ...] = ()
    outcome: Outcome | None = None
    cluster_domain: str = "cluster.local"

    @functools.cached_property
    def ours(self) -> Observed:
        """What was seen, without what belongs to somebody else: that says nothing about us."""
        return adoption.ours(self.seen, self.identity)


class Pods(msgspec.Struct, frozen=True):
    """The numbers that all answers are made from.

    Attributes:
        running: the pods of each revision.
        asked_for: what the Deployment aims at now; an autoscaler may have chosen it.
        least: ready pods that fulfil the spec.
    """

    running: tuple[revisions.Running, ...]
    asked_for: int
    least: int

    @property
    def ready(self) -> int:
        """Ready pods of every revision."""
        return sum(each.ready for each in self.running)

    @property
    def replicas(self) -> int:
        """Pods of every revision."""
        return sum(each.replicas for each in self.running)

    def of(self, revision: str) -> revisions.Running:
        """Give the numbers of one revision."""
        found = (each for each in self.running if each.revision == revision)
        return next(found, revisions.Running(revision, 0, 0))


def count(visit: Visit) -> Pods:
    """Give the numbers of a visit."""
    seen = visit.ours
    least = visit.model_deployment.fewest_replicas if visit.model_deployment else 1
    return Pods(
        running=revisions.running(seen),
        asked_for=seen.deployment["spec"].get("replicas", 1) if seen.deployment else least,
        least=least,
    )


def is_settled(visit: Visit) -> bool:
    """Says whether what should run is rolled out and ready, so that no pod has to be asked why it isn't."""
    least = visit.model_deployment.fewest_replicas if visit.model_deployment else 1
    return rollout.is_settled(visit.target.revision, visit.ours, least)
