"""One visit to one ModelDeployment: observe, decide, write, say.

`workqueue` calls `Reconciler.reconcile(key)` for every reason there is (an event of the resource, of a child, a
timer, a restart) and the reason is never looked at. All decisions are made by pure modules; this one only puts their
results in order. It may die between any two writes: the next visit starts from what is there. It knows neither kopf
nor where its time comes from.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from modelyard_operator import (
    api,
    conditions,
    config,
    decision,
    drift,
    errors,
    naming,
    plan,
    revisions,
    status,
)
from modelyard_operator import visit as visits
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace, name
ROLLOUT_POLL_SECONDS = 2.0  # pods aren't watched; a failure is seen this soon
STALLED_POLL_SECONDS = 15.0  # the kubelet retries by itself, and the reason may change or pass


class Cluster(Protocol):
    """What a visit needs from the API server; `cluster` talks to a real one, the tests have one in memory.

    Every method raises errors.ClusterError when the call fails.
    """

    async def get_model_deployment(self, namespace: str, name: str) -> Manifest | None:
        """Read the resource; None when there is none."""
        ...

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Read one child; None when there is none."""
        ...

    async def observe(self, namespace: str, name: str) -> Observed:
        """Read everything around a ModelDeployment except its pods."""
        ...

    async def list_pods(self, namespace: str, name: str) -> tuple[Manifest, ...]:
        """Read the pods of a ModelDeployment."""
        ...

    async def apply(self, action: plan.Apply) -> Manifest:
        """Carry out a server-side apply and give the object that came of it."""
        ...

    async def delete(self, action: plan.Delete) -> None:
        """Delete one object; one that is gone or has been replaced counts as deleted."""
        ...

    async def apply_status(self, manifest: Manifest) -> None:
        """Carry out a server-side apply on the status of a ModelDeployment."""
        ...


class Reconciler:
    """Brings ModelDeployments to what their specs ask for, one visit at a time."""

    def __init__(self, cluster: Cluster, settings: config.OperatorConfig, now: Callable[[], str]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._now = now

    async def reconcile(self, key: Key) -> None:
        """Visit one ModelDeployment.

        Raises:
            errors.Stalled: only the user can help; the status says how.
            errors.Waiting: come back later; the status says what for.
            errors.ClusterError: an API call failed.
        """
        body = await self._cluster.get_model_deployment(*key)
        if body is None or api.parse_identity(body).is_deleting:
            return  # garbage collection removes the children
        visit = await self._execute(await self._decide(key, body))
        said = status.summarize(visit, body.get("status") or {}, self._now())
        await self._say(body, said)
        if visit.outcome is not None:
            raise visit.outcome
        _raise_if_unfinished(said)

    async def _decide(self, key: Key, body: Manifest) -> decision.Decision:
        seen = await self._cluster.observe(*key)
        decided = decision.decide(body, seen, self._settings)
        revision = decided.visit.revision
        if revision and revisions.find(revision, seen.revisions) is None:
            # Not among ours by label; the name may be taken all the same.
            taken = await self._cluster.get(Kind.CONTROLLER_REVISION, key[0], revision)
            if taken is not None:
                seen = seen.with_applied(taken)
                decided = decision.decide(body, seen, self._settings)
        if decided.wants_pods:
            # Read before anything is written: what they say can change the decision (rollback), not only the status.
            pods = await self._cluster.list_pods(*key)
            return decision.decide(body, msgspec.structs.replace(seen, pods=pods), self._settings)
        return decided

    async def _execute(self, decided: decision.Decision) -> visits.Visit:
        """Make the writes that are needed; what stops them becomes the visit's outcome."""
        visit = decided.visit
        for action in decided.actions:
            try:
                visit = msgspec.structs.replace(visit, seen=await self._write(action, visit))
            except errors.ClusterError as outcome:
                if outcome.status == 409:
                    raise  # somebody was faster: look again before saying anything
                return msgspec.structs.replace(visit, outcome=outcome)
        return visit

    async def _write(self, action: plan.Action, visit: visits.Visit) -> Observed:
        keys = {
            "namespace": visit.identity.namespace,
            "model_deployment": visit.identity.name,
            "action": str(action),
        }
        logger.info("write", extra=keys)
        if isinstance(action, plan.Delete):
            await self._cluster.delete(action)
            return visit.seen.without(action.kind, action.name)
        return visit.seen.with_applied(await self._cluster.apply(action))

    async def _say(self, body: Manifest, said: api.Status) -> None:
        manifest: dict[str, Any] = {
            "apiVersion": naming.API_VERSION,
            "kind": naming.KIND,
            "metadata": {key: body["metadata"][key] for key in ("name", "namespace", "uid")},
            "status": msgspec.to_builtins(said),
        }
        comparable = {"status": manifest["status"]}
        if drift.differences(comparable, body, naming.STATUS_MANAGER, "status"):
            await self._cluster.apply_status(manifest)


def _raise_if_unfinished(said: api.Status) -> None:
    """Ask for another visit while the pods aren't where they should be."""
    polls = {conditions.RECONCILING: ROLLOUT_POLL_SECONDS, conditions.STALLED: STALLED_POLL_SECONDS}
    for condition in said.conditions:
        if condition.type in polls:
            raise errors.Waiting(condition.reason, condition.message, polls[condition.type])
