"""Where a visit's decision comes from: memory first, and live reads for whatever a write will rest on.

`reconciler` asks before it writes. Most visits end here: memory says that nothing has to be written, and no call is
made. What a write may rest on is in docs/adr/0006: the resource itself is always read live; what is created
after the revision is first looked for under its name, because somebody else's object carries no label of ours and isn't
in memory; what is changed is named with the version that memory had; what is deleted or rolled back is decided on live
reads alone. Never writes.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from modelyard_operator import (
    api,
    config,
    decision,
    naming,
    objects,
    plan,
    store,
    turnstile,
    updates,
)
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed

Key = tuple[str, str]  # namespace, name
_ANNOTATIONS = "metadata.annotations"


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
        """Carry out a server-side apply and give the object that came of it.

        Fails with 409 when the object isn't the one that `uid` and `version` name, or when there is one without a UID.
        """
        ...

    async def delete(self, action: plan.Delete) -> None:
        """Delete one object; one that is gone or has been replaced counts as deleted."""
        ...

    async def stop_pod(self, action: plan.StopPod) -> None:
        """Delete one pod; one that is gone or has been replaced counts as deleted."""
        ...

    async def apply_status(self, manifest: Manifest) -> Manifest | None:
        """Carry out a server-side apply on the status of a ModelDeployment and give it; None when it has gone."""
        ...


class Sight(msgspec.Struct, frozen=True):
    """What a visit has seen and decided, and whether it was read live altogether."""

    body: Manifest
    decided: decision.Decision
    is_live: bool


class Lookout:
    """Looks at one ModelDeployment at a time; without a memory every look is live."""

    def __init__(
        self,
        cluster: Cluster,
        settings: config.OperatorConfig,
        memory: store.Store | None = None,
        turns: turnstile.Turnstile | None = None,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._memory = memory
        self._turns = turns
        self._expected: dict[Key, frozenset[Kind]] = {}  # the children that the last visit has seen

    def doubt(self, key: Key) -> None:
        """Have the next visit look for children that no watch tells of: somebody may have taken our label off."""
        self._expected[key] = frozenset(kind for kind in Kind if not kind.is_per_revision)

    async def look(self, key: Key) -> Sight | None:
        """Decide from memory, and make sure of it when something has to be written; None when it has gone or is going.

        Raises:
            errors.ClusterError: an API call failed.
        """
        if self._memory is None:
            return await self.look_live(key)
        body = self._memory.get(naming.PLURAL, *key)
        if body is None or api.parse_identity(body).is_deleting:
            self._expected.pop(key, None)
            return None
        pods = self._memory.select(store.PODS, *key)
        seen = msgspec.structs.replace(self._memory.observe(*key), pods=pods)
        decided = self._decide(key, body, seen)
        if hidden := await self._hidden(key, decided):
            for manifest in hidden:
                seen = seen.with_applied(manifest)
            decided = self._decide(key, body, seen)
        remembered = Sight(body, decided, is_live=False)
        return remembered if _rests_on_memory(decided) else await self._confirm(key, remembered)

    async def _hidden(self, key: Key, decided: decision.Decision) -> list[Manifest]:
        """Give the children that memory lacks and that are there all the same, without our label.

        A watch tells of a label that is lost like of a deletion. What a decision creates is looked for anyway.
        """
        known = decided.visit.seen.children.keys()
        expected = self._expected.get(key, frozenset()) | {Kind.DEPLOYMENT}
        created = {kind for kind, _name in _created(decided)}
        missing = [kind for kind in Kind if kind in expected - known - created]
        found = [await self._cluster.get(kind, *key) for kind in missing]
        hidden = [manifest for manifest in found if manifest is not None]
        self._expected[key] = frozenset((*known, *map(objects.kind_of, hidden)))
        return hidden

    async def _confirm(self, key: Key, remembered: Sight) -> Sight | None:
        """Decide again with the resource as it is now, and with what may be there under names that memory lacks."""
        body = await self._read(key)
        if body is None:
            return None
        decided, seen = remembered.decided, remembered.decided.visit.seen
        if body["metadata"]["resourceVersion"] != remembered.body["metadata"]["resourceVersion"]:
            decided = self._decide(key, body, seen)
        known: set[tuple[Kind, str]] = set()
        while True:
            if _has_to_be_live(decided):
                return await self._look_around(key, body)
            unknown = [each for each in _created(decided) if each not in known]
            found = [await self._cluster.get(kind, key[0], name) for kind, name in unknown]
            known.update(unknown)
            taken = [manifest for manifest in found if manifest is not None]
            if not taken:
                return Sight(body, decided, is_live=False)
            for manifest in taken:
                seen = seen.with_applied(manifest)
            decided = self._decide(key, body, seen)

    async def look_live(self, key: Key) -> Sight | None:
        """Decide on live reads alone; None when the resource has gone or is being deleted.

        Raises:
            errors.ClusterError: an API call failed.
        """
        body = await self._read(key)
        return None if body is None else await self._look_around(key, body)

    async def _look_around(self, key: Key, body: Manifest) -> Sight:
        """Read everything around a resource that has just been read, and decide."""
        seen = await self._cluster.observe(*key)
        if seen.deployment is not None:
            # Read before anything is written: what they say can change the decision, not only the status.
            seen = msgspec.structs.replace(seen, pods=await self._cluster.list_pods(*key))
        decided = self._decide(key, body, seen)
        # Not among ours by label; the names may be taken all the same.
        for kind, name in _created(decided, per_revision=True):
            if (taken := await self._cluster.get(kind, key[0], name)) is not None:
                seen = seen.with_applied(taken)
        if seen is not decided.visit.seen:
            decided = self._decide(key, body, seen)
        self.learn(*seen.children.values(), *seen.revisions, *seen.locks)
        return Sight(body, decided, is_live=True)

    def _decide(self, key: Key, body: Manifest, seen: Observed) -> decision.Decision:
        """Decide; a model that could adopt a newer image does so when it is its turn."""
        decided = decision.decide(body, seen, self._settings)
        if self._turns is None:
            return decided
        turn = self._turns.report(key, decided.visit.update.state)
        return decided if turn is updates.Turn.WAITING else decision.decide(body, seen, self._settings, turn)

    async def _read(self, key: Key) -> Manifest | None:
        """Read the resource; None when it has gone or is being deleted."""
        before = self._memory.version(naming.PLURAL, *key) if self._memory is not None else 0
        body = await self._cluster.get_model_deployment(*key)
        if body is None:
            if self._memory is not None:
                self._memory.drop(naming.PLURAL, *key, before)
            return None
        self.learn(body)
        return None if api.parse_identity(body).is_deleting else body

    def learn(self, *manifests: Manifest) -> None:
        """Remember what the API server has just answered with."""
        if self._memory is not None:
            for manifest in manifests:
                self._memory.learn(manifest)

    def bury(self, action: plan.Delete) -> None:
        """Remember that an object has been deleted."""
        if self._memory is not None:
            key = (action.namespace, action.name)
            self._expected[key] = self._expected.get(key, frozenset()) - {action.kind}
            self._memory.bury(action.kind.plural, action.namespace, action.name, action.uid)

    def bury_pod(self, action: plan.StopPod) -> None:
        """Remember that a pod has been told to stop; the watch tells when it is gone."""
        if self._memory is not None:
            self._memory.bury(store.PODS, action.namespace, action.name, action.uid)


def _rests_on_memory(decided: decision.Decision) -> bool:
    """Says whether a decision does nothing, or nothing but keep what a revision's first pod has loaded.

    That follows from no spec: it says of a record what has happened to it. The version in the write says that the
    record is still the one that was seen, and its ConfigMap goes with the record.
    """
    return all(isinstance(action, plan.Apply) and _is_lock(action) for action in decided.actions)


def _is_lock(action: plan.Apply) -> bool:
    """Says whether a write does nothing but lock a revision: the mark on its record, or its new ConfigMap."""
    if not action.uid:
        return objects.kind_of(action.manifest) is Kind.CONFIG_MAP
    marks = action.manifest["metadata"].get("annotations") or {}
    is_first_mark = action.why == (_ANNOTATIONS,) and marks.keys() == {naming.MARK_LOCK}
    return is_first_mark or action.why == (f"{_ANNOTATIONS}.{naming.MARK_LOCK}",)


def _has_to_be_live(decided: decision.Decision) -> bool:
    """Says whether a decision does what a moment of the past must not cause: it deletes, goes back, or restarts pods.

    The template of a revision comes from its record, which is another object than the one that is written: the
    version in that write doesn't show that somebody has deleted the record and had it made anew.
    """
    deletes = any(not isinstance(action, plan.Apply) for action in decided.actions)
    return deletes or decided.visit.target.failed is not None or _changes_template(decided)


def _changes_template(decided: decision.Decision) -> bool:
    """Says whether a Deployment gets another template from a record that isn't made by the same decision."""
    applies = [action for action in decided.actions if isinstance(action, plan.Apply)]
    makes_record = any(
        not each.uid and objects.kind_of(each.manifest) is Kind.CONTROLLER_REVISION for each in applies
    )
    return not makes_record and any(
        each.uid
        and objects.kind_of(each.manifest) is Kind.DEPLOYMENT
        and any(path.startswith("spec.template") for path in each.why)
        for each in applies
    )


def _created(decided: decision.Decision, *, per_revision: bool = False) -> Iterator[tuple[Kind, str]]:
    """Give what a decision creates and has to look for first, so that nothing is half made when a name is taken.

    A revision is created before all else and a lock after all else: when such a name is taken the API server says so,
    and nothing has been made, or all that doesn't need the name.
    """
    for action in decided.actions:
        if isinstance(action, plan.Apply) and not action.uid:
            kind = objects.kind_of(action.manifest)
            if kind.is_per_revision is per_revision:
                yield kind, objects.name(action.manifest)
