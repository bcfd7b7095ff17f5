"""A Kubernetes API in memory, small enough to read: objects, generations, server-side apply with field ownership.

Implements `reconciler.Cluster` and `cluster_controllers.Backend` for the unit tests. What it does is kept honest by the
same scenarios running against a real API server (tests/integration/test_scenarios.py).
"""

import copy
from collections.abc import Iterator
from typing import Any

from modelyard_operator import errors, naming, objects, plan
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed
from tests.support import cluster_fields

Owner = tuple[str, str, str]  # manager, operation, subresource


class Stored:
    """One object and who owns which of its fields."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.owners: dict[Owner, set[cluster_fields.Path]] = {}

    def read(self) -> Manifest:
        """Give a copy as the API server would answer, managedFields included."""
        manifest = copy.deepcopy(self.manifest)
        manifest["metadata"]["managedFields"] = [
            {
                "manager": manager,
                "operation": operation,
                **({"subresource": subresource} if subresource else {}),
                "fieldsV1": cluster_fields.tree(paths),
            }
            for (manager, operation, subresource), paths in self.owners.items()
            if paths
        ]
        return manifest


class MemoryCluster:
    """The API."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Stored] = {}
        self.writes: list[str] = []  # what changed something, in order
        self._version = 100

    # What the reconciler calls

    async def get_model_deployment(self, namespace: str, name: str) -> Manifest | None:
        return await self.read(naming.PLURAL, namespace, name)

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        return await self.read(kind.plural, namespace, name)

    async def observe(self, namespace: str, name: str) -> Observed:
        singles = {kind: await self.get(kind, namespace, name) for kind in Kind if not kind.is_per_revision}
        return Observed(
            children={kind: found for kind, found in singles.items() if found is not None},
            revisions=tuple(self._selected("controllerrevisions", namespace, name)),
            locks=tuple(self._selected("configmaps", namespace, name)),
            replica_sets=tuple(self._selected("replicasets", namespace, name)),
        )

    async def list_pods(self, namespace: str, name: str) -> tuple[Manifest, ...]:
        return tuple(self._selected("pods", namespace, name))

    async def apply(self, action: plan.Apply) -> Manifest:
        kind = objects.kind_of(action.manifest)
        metadata = action.manifest["metadata"]
        there = await self.read(kind.plural, metadata["namespace"], metadata["name"])
        version = there["metadata"]["resourceVersion"] if there else ""
        if there and (not action.uid or (action.version and action.version != version)):
            raise errors.ClusterError(f"apply {kind.plural}", 409, "the object has been modified")
        return self._apply(
            kind.plural, action.manifest, action.uid, (action.manager, "Apply", ""), action.force
        )

    async def delete(self, action: plan.Delete) -> None:
        stored = self.objects.get((action.kind.plural, action.namespace, action.name))
        if stored is not None and stored.manifest["metadata"]["uid"] == action.uid:
            await self.remove(action.kind.plural, action.namespace, action.name)

    async def stop_pod(self, action: plan.StopPod) -> None:
        stored = self.objects.get(("pods", action.namespace, action.name))
        if stored is not None and stored.manifest["metadata"]["uid"] == action.uid:
            await self.remove("pods", action.namespace, action.name)

    async def apply_status(self, manifest: Manifest) -> Manifest | None:
        owner = (naming.STATUS_MANAGER, "Apply", "status")
        return self._apply(naming.PLURAL, manifest, manifest["metadata"]["uid"], owner, force=True)

    # What the tests call: the hands of users and of Kubernetes' own controllers

    async def create(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest:
        metadata = manifest["metadata"]
        stored = self._new(plural, manifest)
        stored.manifest.update(
            copy.deepcopy({key: value for key, value in manifest.items() if key != "metadata"})
        )
        stored.manifest["metadata"].update(copy.deepcopy(metadata))
        stored.owners[(manager, "Update", "")] = set(cluster_fields.leaves(manifest))
        if plural == naming.PLURAL:
            stored.manifest["status"] = {"observedGeneration": -1}
        return stored.read()

    async def read(self, plural: str, namespace: str, name: str) -> Manifest | None:
        stored = self.objects.get((plural, namespace, name))
        return stored.read() if stored else None

    async def patch(
        self, plural: str, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> Manifest:
        """Carry out a merge patch, as kubectl edit would; it takes over what it changes."""
        stored = self.objects[plural, namespace, name]
        before = copy.deepcopy(stored.manifest)
        cluster_fields.merge(stored.manifest, copy.deepcopy(patch))
        gone = [
            path
            for paths in stored.owners.values()
            for path in paths
            if cluster_fields.get(stored.manifest, path) is cluster_fields.ABSENT
        ]
        now, get = stored.manifest, cluster_fields.get
        _check_immutable(before, now)
        changed = {path for path in cluster_fields.leaves(now) if get(before, path) != get(now, path)}
        for paths in stored.owners.values():
            paths.difference_update(gone, changed)
        stored.owners.setdefault(("kubectl-edit", "Update", subresource), set()).update(changed)
        self._finish(stored, before)
        return stored.read()

    async def remove(self, plural: str, namespace: str, name: str) -> None:
        self.writes.append(f"delete {plural} {name}")
        del self.objects[plural, namespace, name]

    async def listed(self, plural: str, namespace: str) -> list[Manifest]:
        return [
            stored.read()
            for (kind, where, _name), stored in self.objects.items()
            if (kind, where) == (plural, namespace)
        ]

    # Inside

    def _selected(self, plural: str, namespace: str, name: str) -> Iterator[Manifest]:
        wanted = naming.selector_labels(name).items()
        for (kind, where, _name), stored in sorted(self.objects.items()):
            labels = stored.manifest["metadata"].get("labels", {})
            if kind == plural and where == namespace and wanted <= labels.items():
                yield stored.read()

    def _new(self, plural: str, manifest: Manifest) -> Stored:
        metadata = manifest["metadata"]
        key = (plural, metadata["namespace"], metadata["name"])
        if key in self.objects:
            raise errors.ClusterError(f"create {key}", 409, "already exists")
        self._version += 1
        identity = {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": f"uid-{self._version}",
            "resourceVersion": str(self._version),
            "generation": 1,
            "creationTimestamp": f"2026-01-01T00:00:{self._version % 60:02d}Z",
        }
        stored = Stored(
            {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": identity}
        )
        self.objects[key] = stored
        self.writes.append(f"create {plural} {metadata['name']}")
        return stored

    def _apply(self, plural: str, manifest: Manifest, uid: str, owner: Owner, force: bool) -> Manifest:
        metadata = manifest["metadata"]
        _validate(manifest)
        stored = self.objects.get((plural, metadata["namespace"], metadata["name"]))
        if uid and (stored is None or stored.manifest["metadata"]["uid"] != uid):
            raise errors.ClusterError(f"apply {plural}", 409, "uid mismatch")
        creating = stored is None
        stored = stored or self._new(plural, manifest)
        before = copy.deepcopy(stored.manifest)
        ordered = list(cluster_fields.leaves(manifest))
        wanted = set(ordered)
        self._resolve_conflicts(stored, manifest, wanted, owner, force)
        for path in sorted(stored.owners.get(owner, set()) - wanted, key=cluster_fields.is_merge_key):
            if not any(path in paths for other, paths in stored.owners.items() if other != owner):
                cluster_fields.drop(stored.manifest, path)
        for path in ordered:
            cluster_fields.put(stored.manifest, path, cluster_fields.get(manifest, path))
        stored.owners[owner] = wanted
        if not creating:
            _check_immutable(before, stored.manifest)
        self._finish(stored, before, creating=creating)
        return stored.read()

    def _resolve_conflicts(
        self, stored: Stored, manifest: Manifest, wanted: set[cluster_fields.Path], owner: Owner, force: bool
    ) -> None:
        for other, paths in list(stored.owners.items()):
            if other == owner:
                continue
            now, get = stored.manifest, cluster_fields.get
            fights = {path for path in paths & wanted if get(now, path) != get(manifest, path)}
            if fights and not force:
                raise errors.ClusterError("apply", 409, f"conflict with {other[0]}: {sorted(fights)}")
            stored.owners[other] = paths - fights

    def _finish(self, stored: Stored, before: Manifest, *, creating: bool = False) -> None:
        if stored.manifest["kind"] == "Deployment":
            stored.manifest["spec"].setdefault("replicas", 1)
        if stored.manifest == before:
            return
        self._version += 1
        stored.manifest["metadata"]["resourceVersion"] = str(self._version)
        if not creating:
            self.writes.append(f"update {stored.manifest['kind']} {stored.manifest['metadata']['name']}")
            if stored.manifest.get("spec") != before.get("spec"):
                stored.manifest["metadata"]["generation"] += 1


def _check_immutable(before: Manifest, after: Manifest) -> None:
    """Refuse to change what a ConfigMap that can't be changed holds; nobody goes on after that in a scenario."""
    held = ("data", "immutable")
    if before.get("immutable") and any(before.get(field) != after.get(field) for field in held):
        raise errors.ClusterError("apply", 422, "data: field is immutable when `immutable` is set")


def _validate(manifest: Manifest) -> None:
    """Refuse the one thing that the scenarios get wrong in a child."""
    for metric in manifest.get("spec", {}).get("metrics", ()):
        if metric["type"] not in ("Resource", "ContainerResource", "Pods", "Object", "External"):
            raise errors.ClusterError("apply", 422, f'Unsupported value: "{metric["type"]}"')
