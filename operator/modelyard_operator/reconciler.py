"""One visit to one ModelDeployment: observe, decide, write, say.

`workqueue` calls `Reconciler.reconcile(key)` for every reason there is (an event of the resource, of a child, a
timer, a restart) and the reason is never looked at. All decisions are made by pure modules; this one only puts their
results in order. It may die between any two writes: the next visit starts from what is there. It knows neither kopf
nor where its time comes from.

What is decided from memory is carried out on exactly the versions that were remembered; when the API server finds one
outdated, everything is read live and decided again (`sight`, docs/adr/0006).
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from modelyard_operator import (
    api,
    conditions,
    config,
    drift,
    errors,
    naming,
    objects,
    plan,
    sight,
    status,
    store,
    turnstile,
)
from modelyard_operator import visit as visits
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace, name
# The watches say what changes; these are for what they may miss, and cost no API call.
ROLLOUT_POLL_SECONDS = 15.0
STALLED_POLL_SECONDS = 60.0
# The events of our own writes cause no visit, because memory has their answers already.
AGAIN_SECONDS = 2.0

Cluster = sight.Cluster


class Recorder(Protocol):
    """Who is told what visits found; neither method may raise."""

    async def record(self, identity: api.Identity, before: Mapping[str, Any], said: api.Status) -> None:
        """Tell one visit's status before it is written; `before` is the one that is there."""
        ...

    def forget(self, key: Key) -> None:
        """Tell that a ModelDeployment is gone or going."""
        ...


class Reconciler:
    """Brings ModelDeployments to what their specs ask for, one visit at a time."""

    def __init__(
        self,
        cluster: Cluster,
        settings: config.OperatorConfig,
        now: Callable[[], str],
        memory: store.Store | None = None,
        recorder: Recorder | None = None,
        turns: turnstile.Turnstile | None = None,
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._recorder = recorder
        self._turns = turns
        self._lookout = sight.Lookout(cluster, settings, memory, turns)

    def doubt(self, key: Key) -> None:
        """Have the next visit look for children that no watch tells of."""
        self._lookout.doubt(key)

    async def reconcile(self, key: Key) -> None:
        """Visit one ModelDeployment.

        Raises:
            errors.Stalled: only the user can help; the status says how.
            errors.Waiting: come back later; the status says what for.
            errors.ClusterError: an API call failed.
        """
        seen = await self._lookout.look(key)
        if seen is None:
            return self._forget(key)
        try:
            visit = await self._execute(seen)
        except errors.ClusterError as error:
            if error.status != 409 or seen.is_live:
                raise
            seen = await self._lookout.look_live(key)  # memory was behind, or somebody was faster
            if seen is None:
                return self._forget(key)
            visit = await self._execute(seen)
        before = seen.body.get("status") or {}
        said = status.summarize(visit, before, self._now())
        if self._recorder is not None:
            await self._recorder.record(visit.identity, before, said)
        await self._say(seen.body, said, visit.outcome)
        if visit.outcome is not None:
            raise visit.outcome
        _raise_if_unfinished(said, wrote=bool(seen.decided.actions))

    def _forget(self, key: Key) -> None:
        """Leave alone what is gone or going: garbage collection removes the children."""
        if self._recorder is not None:
            self._recorder.forget(key)
        if self._turns is not None:
            self._turns.forget(key)

    async def _execute(self, seen: sight.Sight) -> visits.Visit:
        """Make the writes that are needed; what stops them becomes the visit's outcome."""
        visit = seen.decided.visit
        for action in seen.decided.actions:
            is_safe = seen.is_live and not _may_be_others(action, visit)
            exact = action if is_safe else _with_version(action, visit.seen)
            try:
                visit = msgspec.structs.replace(visit, seen=await self._write(exact, visit))
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
        if isinstance(action, plan.StopPod):
            await self._cluster.stop_pod(action)
            self._lookout.bury_pod(action)
            return visit.seen.without_pod(action.uid)
        if isinstance(action, plan.Delete):
            await self._cluster.delete(action)
            self._lookout.bury(action)
            return visit.seen.without(action.kind, action.name)
        live = await self._cluster.apply(action)
        self._lookout.learn(live)
        return visit.seen.with_applied(live)

    async def _say(self, body: Manifest, said: api.Status, outcome: Exception | None) -> None:
        manifest: dict[str, Any] = {
            "apiVersion": naming.API_VERSION,
            "kind": naming.KIND,
            "metadata": {key: body["metadata"][key] for key in ("name", "namespace", "uid")},
            "status": msgspec.to_builtins(said),
        }
        comparable = {"status": manifest["status"]}
        if not drift.differences(comparable, body, naming.STATUS_MANAGER, "status"):
            return
        try:
            answer = await self._cluster.apply_status(manifest)
        except errors.ClusterError as error:
            # Another version of the CRD has let in what no write passes any more. The Event has said it, and the same
            # write again would be refused again.
            if error.is_refusal and isinstance(outcome, errors.Stalled):
                return
            raise
        if answer is not None:
            self._lookout.learn(answer)


def _may_be_others(action: plan.Action, visit: visits.Visit) -> bool:
    """Says whether an object can become somebody else's before the write: an orphan, or one that lacks our labels.

    What has neither an owner nor all of our labels is anybody's.
    """
    if not isinstance(action, plan.Apply) or not action.uid:
        return False
    live = visit.seen.find(objects.kind_of(action.manifest), objects.name(action.manifest))
    if live is None:
        return False
    labels = live["metadata"].get("labels") or {}
    is_labelled = naming.child_labels(visit.identity.name).items() <= labels.items()
    return not is_labelled or not objects.is_owned_by(live, visit.identity.uid)


def _with_version(action: plan.Action, seen: Observed) -> plan.Action:
    """Give the same write, to be carried out only on the version that was seen; creations and deletes as they are."""
    if not isinstance(action, plan.Apply) or not action.uid:
        return action
    live = seen.find(objects.kind_of(action.manifest), objects.name(action.manifest))
    version = live["metadata"]["resourceVersion"] if live else ""
    return msgspec.structs.replace(action, version=version)


def _raise_if_unfinished(said: api.Status, *, wrote: bool) -> None:
    """Ask for another visit after a write, to see whether that was all, and while pods aren't where they should be."""
    polls = {conditions.RECONCILING: ROLLOUT_POLL_SECONDS, conditions.STALLED: STALLED_POLL_SECONDS}
    for condition in said.conditions:
        if condition.type in polls:
            seconds = AGAIN_SECONDS if wrote else polls[condition.type]
            raise errors.Waiting(condition.reason, condition.message, seconds)
    if wrote:
        raise errors.Waiting(conditions.OBSERVING, "Looking again whether that was all.", AGAIN_SECONDS)
