"""A Kubernetes API that answers in microseconds: what `cluster_memory` does, on objects that share structure.

Implements `reconciler.Cluster` and `cluster_world.Backend`. Nothing that was handed out is ever changed, so a read
costs nothing and history can be kept by keeping references. Equal to `cluster_memory`, and by that to a real API
server: the scenarios run on it, and random histories are played on both (tests/unit/operator/test_simulation.py).
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from modelyard_operator import errors, naming, objects, plan
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed
from tests.simulation import admission, fields
from tests.support import cluster_fields

Owner = tuple[str, str, str]  # manager, operation, subresource
Name = tuple[str, str, str]  # plural, namespace, name
_NOBODY_APPLIES = frozenset({"pods", "replicasets"})  # so nobody asks who owns their fields


class Change(msgspec.Struct, frozen=True):
    """One change of one object: created when there is no `before`, deleted when there is no `after`."""

    name: Name
    before: Manifest | None
    after: Manifest | None


class _Stored:
    """One object as readers get it, and who owns which of its fields."""

    __slots__ = ("manifest", "owners")

    def __init__(self, manifest: Manifest, owners: dict[Owner, frozenset[cluster_fields.Path]]) -> None:
        self.owners = owners
        entries = [
            {
                "manager": manager,
                "operation": operation,
                **({"subresource": subresource} if subresource else {}),
                "fieldsV1": fields.tree(fields.owned(paths)),
            }
            for (manager, operation, subresource), paths in owners.items()
            if paths
        ]
        self.manifest = {**manifest, "metadata": {**manifest["metadata"], "managedFields": entries}}


class FastCluster:
    """The API."""

    def __init__(self) -> None:
        self.objects: dict[Name, _Stored] = {}
        self.version = 100
        self.published: dict[str, int] = {}  # address -> how often something else was put there
        self._stale: set[Name] = set()  # an apply dropped fields that others may still be listed for
        self.on_change: Callable[[Change], None] = _ignore

    # What the reconciler calls

    async def get_model_deployment(self, namespace: str, name: str) -> Manifest | None:
        return self.find(naming.PLURAL, name, namespace)

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        return self.find(kind.plural, name, namespace)

    async def observe(self, namespace: str, name: str) -> Observed:
        return self.observed(namespace, name)

    async def list_pods(self, namespace: str, name: str) -> tuple[Manifest, ...]:
        return tuple(self.selected("pods", namespace, name))

    async def apply(self, action: plan.Apply) -> Manifest:
        return self.apply_now(action)

    async def delete(self, action: plan.Delete) -> None:
        self.delete_now(action)

    async def stop_pod(self, action: plan.StopPod) -> None:
        self.delete_now(action)

    async def apply_status(self, manifest: Manifest) -> Manifest | None:
        return self.apply_status_now(manifest)

    # What the tests call: the hands of users and of Kubernetes' own controllers

    async def create(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest:
        return self.create_now(plural, manifest, manager)

    async def read(self, plural: str, namespace: str, name: str) -> Manifest | None:
        return self.find(plural, name, namespace)

    async def patch(
        self, plural: str, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> Manifest:
        return self.patch_now((plural, namespace, name), patch, ("kubectl-edit", "Update", subresource))

    async def remove(self, plural: str, namespace: str, name: str) -> None:
        self.remove_now((plural, namespace, name))

    async def listed(self, plural: str, namespace: str) -> list[Manifest]:
        return [
            stored.manifest
            for (kind, where, _), stored in self.objects.items()
            if kind == plural and where == namespace
        ]

    # The same without a coroutine around it

    def find(self, plural: str, name: str, namespace: str = "default") -> Manifest | None:
        """Give one object, None when there is none."""
        stored = self.objects.get((plural, namespace, name))
        return stored.manifest if stored else None

    def observed(self, namespace: str, name: str) -> Observed:
        """Give everything around a ModelDeployment except its pods."""
        children: dict[Kind, Manifest] = {
            kind: found
            for kind in Kind
            if not kind.is_per_revision and (found := self.find(kind.plural, name, namespace)) is not None
        }
        return Observed(
            children=children,
            revisions=tuple(self.selected("controllerrevisions", namespace, name)),
            locks=tuple(self.selected("configmaps", namespace, name)),
            replica_sets=tuple(self.selected("replicasets", namespace, name)),
        )

    def selected(self, plural: str, namespace: str, name: str) -> Iterator[Manifest]:
        """Give the objects of a kind with the labels that select a ModelDeployment's, by name."""
        wanted = naming.selector_labels(name).items()
        found = (
            (key, stored.manifest)
            for key, stored in self.objects.items()
            if key[0] == plural and key[1] == namespace
        )
        for _, manifest in sorted(found, key=lambda pair: pair[0]):
            if wanted <= (manifest["metadata"].get("labels") or {}).items():
                yield manifest

    def create_now(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest:
        """Create an object as its given manager."""
        name = self._name(plural, manifest)
        if name in self.objects:
            raise errors.ClusterError(f"create {name}", 409, "already exists")
        created = {**manifest, "metadata": {**self._identity(name), **manifest["metadata"]}}
        if plural == naming.PLURAL:
            created["status"] = {"observedGeneration": -1}
        if plural in _NOBODY_APPLIES:
            return self._keep(name, created, {})
        return self._keep(name, created, {(manager, "Update", ""): frozenset(fields.flatten(manifest))})

    def patch_now(self, name: Name, patch: dict[str, Any], owner: Owner) -> Manifest:
        """Carry out a merge patch; its owner takes over what it changes."""
        stored = self.objects[name]
        before, get = stored.manifest, fields.get
        after = fields.merge(before, patch)
        if name[0] in _NOBODY_APPLIES:
            return self._finish(name, after, {})
        admission.check_whole(after)
        changed: set[cluster_fields.Path] = set()
        gone: set[cluster_fields.Path] = set()
        for place in fields.touched(before, after, patch):
            old, new = get(before, place), get(after, place)
            now = set() if new is cluster_fields.ABSENT else set(fields.below(new, place))
            was = set() if old is cluster_fields.ABSENT else set(fields.below(old, place))
            gone |= {place} if new is cluster_fields.ABSENT else set()
            changed |= {path for path in now if get(before, path) != get(after, path)}
            gone |= {path for path in was - now if get(after, path) is cluster_fields.ABSENT}
        if name in self._stale:
            self._stale.discard(name)
            listed = frozenset().union(*stored.owners.values())
            gone |= {path for path in listed if get(after, path) is cluster_fields.ABSENT}
        owners = {other: paths - gone - changed for other, paths in stored.owners.items()}
        owners[owner] = owners.get(owner, frozenset()) | changed
        return self._finish(name, after, owners)

    def remove_now(self, name: Name) -> None:
        """Delete an object."""
        stored = self.objects.pop(name)
        self.version += 1
        self.on_change(Change(name, stored.manifest, None))

    def apply_now(self, action: plan.Apply) -> Manifest:
        """Carry out a server-side apply of a child."""
        plural = objects.kind_of(action.manifest).plural
        owner = (action.manager, "Apply", "")
        return self._apply(self._name(plural, action.manifest), action, owner)

    def delete_now(self, action: plan.Delete | plan.StopPod) -> None:
        """Delete exactly the object that the action names."""
        plural = "pods" if isinstance(action, plan.StopPod) else action.kind.plural
        name = (plural, action.namespace, action.name)
        stored = self.objects.get(name)
        if stored is not None and stored.manifest["metadata"]["uid"] == action.uid:
            self.remove_now(name)

    def apply_status_now(self, manifest: Manifest) -> Manifest | None:
        """Carry out a server-side apply on the status of a ModelDeployment."""
        name = self._name(naming.PLURAL, manifest)
        if name not in self.objects:
            return None
        action = plan.Apply(manifest, uid=manifest["metadata"]["uid"])
        return self._apply(name, action, (naming.STATUS_MANAGER, "Apply", "status"))

    # Inside

    def _apply(self, name: Name, action: plan.Apply, owner: Owner) -> Manifest:
        stored = self.objects.get(name)
        admission.check(action, stored.manifest if stored else None)
        flat = fields.flatten(action.manifest)
        wanted = frozenset(flat)
        if stored is None:
            manifest = action.manifest
            created = {**manifest, "metadata": {**self._identity(name), **manifest["metadata"]}}
            return self._keep(name, created, {owner: wanted})
        now, get = stored.manifest, fields.get
        different = {path for path, value in flat.items() if get(now, path) != value}
        owners = dict(stored.owners)
        for other, paths in stored.owners.items():
            fights = paths & different
            if other == owner or not fights:
                continue
            if not action.force:
                raise errors.ClusterError("apply", 409, f"conflict with {other[0]}: {sorted(fights)}")
            owners[other] = paths - fights
        others = frozenset().union(*(paths for other, paths in owners.items() if other != owner))
        for path in sorted(stored.owners.get(owner, frozenset()) - wanted - others, key=_items_last):
            now = fields.drop(now, path)
            self._stale.add(name)
        for path, value in flat.items():
            if path in different or get(now, path) is cluster_fields.ABSENT:
                now = fields.put(now, path, value)
        owners[owner] = wanted
        admission.check_whole(now)
        return self._finish(name, now, owners)

    def _finish(
        self, name: Name, after: Manifest, owners: dict[Owner, frozenset[cluster_fields.Path]]
    ) -> Manifest:
        """Keep what a write made of an object, unless it is as before."""
        before = self.objects[name].manifest
        after = _defaulted(after)
        mine = self.objects[name].owners
        same_owners = owners == mine or {k: v for k, v in owners.items() if v} == {
            k: v for k, v in mine.items() if v
        }
        if after == before and same_owners:
            return before
        metadata = after["metadata"]
        self.version += 1  # also when nothing but an owner has changed
        metadata = {**metadata, "resourceVersion": str(self.version)}
        if after.get("spec") != before.get("spec"):
            metadata["generation"] += 1
        stored = self.objects[name] = _Stored({**after, "metadata": metadata}, owners)
        self.on_change(Change(name, before, stored.manifest))
        return stored.manifest

    def _keep(
        self, name: Name, created: Manifest, owners: dict[Owner, frozenset[cluster_fields.Path]]
    ) -> Manifest:
        stored = self.objects[name] = _Stored(_defaulted(created), owners)
        self.on_change(Change(name, None, stored.manifest))
        return stored.manifest

    def _name(self, plural: str, manifest: Manifest) -> Name:
        return plural, manifest["metadata"]["namespace"], manifest["metadata"]["name"]

    def _identity(self, name: Name) -> Manifest:
        self.version += 1
        return {
            "name": name[2],
            "namespace": name[1],
            "uid": f"uid-{self.version}",
            "resourceVersion": str(self.version),
            "generation": 1,
            "creationTimestamp": f"2026-01-01T{self.version // 3600 % 24:02d}:"
            f"{self.version // 60 % 60:02d}:{self.version % 60:02d}Z",
        }


def _ignore(change: Change) -> None:
    """Nobody wants to know."""


def _items_last(path: cluster_fields.Path) -> bool:
    return cluster_fields.is_merge_key(path)


def _defaulted(manifest: Manifest) -> Manifest:
    if manifest["kind"] == "Deployment" and "replicas" not in manifest["spec"]:
        return {**manifest, "spec": {**manifest["spec"], "replicas": 1}}
    return manifest
