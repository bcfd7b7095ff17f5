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
    desired,
    drift,
    errors,
    naming,
    plan,
    revisions,
    status,
)
from modelyard_operator.desired import pod, revision
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
        if body is None:
            return
        identity = api.parse_identity(body)
        if identity.is_deleting:
            return  # garbage collection removes the children
        visit = status.Visit(
            identity=identity,
            seen=await self._cluster.observe(*key),
            cluster_domain=self._settings.cluster_domain,
        )
        visit = await self._converge(body, visit)
        if not status.is_settled(visit):
            pods = await self._cluster.list_pods(*key)
            visit = msgspec.structs.replace(visit, seen=msgspec.structs.replace(visit.seen, pods=pods))
        said = status.summarize(visit, body.get("status") or {}, self._now())
        await self._say(body, said)
        if visit.outcome is not None:
            raise visit.outcome
        _raise_if_unfinished(said)

    async def _converge(self, body: Manifest, visit: status.Visit) -> status.Visit:
        """Make the writes that are needed; what stops them becomes the visit's outcome."""
        try:
            model_deployment = api.parse(body)
            visit = msgspec.structs.replace(
                visit, model_deployment=model_deployment, revision=revisions.name(model_deployment)
            )
            pod.check_metadata(
                "spec.service.annotations", model_deployment.spec.service.annotations, self._settings
            )
            actions = await self._plan(model_deployment, visit)
            if model_deployment.spec.paused:
                return msgspec.structs.replace(visit, held=tuple(str(action) for action in actions))
            for action in actions:
                visit = msgspec.structs.replace(visit, seen=await self._execute(action, visit))
        except (errors.Stalled, errors.Waiting) as outcome:
            return msgspec.structs.replace(visit, outcome=outcome)
        except errors.ClusterError as outcome:
            if outcome.status == 409:
                raise  # somebody was faster: look again before saying anything
            return msgspec.structs.replace(visit, outcome=outcome)
        return visit

    async def _plan(
        self, model_deployment: api.ModelDeployment, visit: status.Visit
    ) -> tuple[plan.Action, ...]:
        """Give every write that is needed: the revision first, so that no pod runs what isn't recorded."""
        identity, seen = visit.identity, visit.seen
        stored = revisions.find(visit.revision, seen.revisions)
        if stored is None:
            # Not among ours by label; the name may be taken all the same.
            stored = await self._cluster.get(Kind.CONTROLLER_REVISION, identity.namespace, visit.revision)
        number = revisions.number(visit.revision, seen.revisions)
        if stored is None:
            template = pod.render(model_deployment, visit.revision, self._settings)
            snapshot = revision.build(model_deployment, template, number)
        else:
            snapshot = revision.build(model_deployment, {}, number) | {"data": stored["data"]}
        first = plan.plan_revision(identity, snapshot, stored)
        template = revision.stored_template(snapshot)
        wanted = desired.children(model_deployment, template, creating=seen.deployment is None)
        expired = revisions.expired(visit.revision, seen.revisions, seen.replica_sets)
        return (*first, *plan.plan(identity, wanted, seen, expired))

    async def _execute(self, action: plan.Action, visit: status.Visit) -> Observed:
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
