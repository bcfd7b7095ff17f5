"""Makes a tenant's attempts against a real API server and tells what he gained. The operator has the chart's rights.

Each attempt has a namespace of its own, so that many run at the same time and none helps another.
"""

import asyncio
import contextlib
import itertools
from pathlib import Path
from typing import Any

import msgspec

from modelyard_operator import api, cluster, errors, naming, plan, revisions
from modelyard_operator.objects import Kind, Manifest
from tests.support import (
    chart_rights,
    cluster_apiserver,
    cluster_process,
    cluster_world,
    deputy_attempts,
    deputy_rules,
    tenant,
)

AT_ONCE = 8
RELEASE = "modelyard-system"
TWINS = "a name whose revisions are cut to those of another"
_namespaces = itertools.count()
# A lock comes with the first pod that has loaded; cluster_scenarios.locking has its name taken and forged.
_OF_EVERY_MODEL = tuple(kind for kind in Kind if kind is not Kind.CONFIG_MAP)


async def make_all(kubeconfig: Path, folder: Path) -> dict[str, list[str]]:
    """Make every attempt of every table; give its name with what went wrong, nothing when it ended as it has to."""
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.request("POST", "/api/v1/namespaces", {"metadata": {"name": RELEASE}})
        await chart_rights.installed(backend, RELEASE)
        token = await chart_rights.token(backend, RELEASE)
        server = cluster_process.server_of(kubeconfig, folder)
        limited = cluster_process.write_kubeconfig(folder / "kubeconfig", *server, token)
        async with cluster_apiserver.connect(limited) as (_backend, operators):
            stage = Stage(backend, operators)
            work = {name: stage.create(attempt) for name, attempt in creations().items()}
            work |= {name: stage.call(call) for name, call in deputy_attempts.CALLS.items()}
            work |= {name: stage.take(kind, owner) for name, (kind, owner) in taken().items()}
            work |= {name: stage.forge(kind) for name, kind in forged().items()}
            work[TWINS] = stage.twins()
            turn = asyncio.Semaphore(AT_ONCE)

            async def one(name: str) -> list[str]:
                async with turn:
                    return await work[name]

            return dict(zip(work, await asyncio.gather(*(one(name) for name in work)), strict=True))


def creations() -> dict[str, deputy_attempts.Attempt]:
    """Give every resource that the tenant creates."""
    return {**deputy_attempts.CREATIONS, **deputy_rules.CREATIONS}


def taken() -> dict[str, tuple[Kind, str]]:
    """Give every kind of child with every kind of owner that an object of its name can have instead of us."""
    owners = ("nobody", "another controller", "nobody, with our labels")
    return {
        f"the name of a {kind.kind} of {owner}": (kind, owner) for kind in _OF_EVERY_MODEL for owner in owners
    }


def forged() -> dict[str, Kind]:
    """Give every kind of child that can be made to look like an orphan of ours."""
    return {f"a forged orphan: a {kind.kind}": kind for kind in _OF_EVERY_MODEL}


class Stage:
    """Where attempts are made."""

    def __init__(self, backend: cluster_apiserver.ApiBackend, operators: cluster.ApiCluster) -> None:
        self._backend = backend
        self._operators = operators

    async def create(self, attempt: deputy_attempts.Attempt) -> list[str]:
        """Let the tenant create a resource and the operator act on it; give what went wrong."""
        world, acting = await self._enter()
        world.with_settings(msgspec.structs.replace(cluster_world.SETTINGS, policy=attempt.rules))
        resource = _resource(world.namespace, attempt)
        code, message = await acting.create(resource)
        if attempt.end == deputy_attempts.REFUSED:
            return [] if code in (400, 422) and message else [f"not refused: HTTP {code} {message}"]
        if code != 201:
            return [f"refused, which is not how it has to end: HTTP {code} {message}"]
        await _visit(world)
        wrong = await self._gained(world, resource["metadata"]["name"])
        stated = await world.conditions()
        if stated.get("Ready", "").startswith("True"):
            wrong.append(f"it is called Ready, and nothing runs: {stated}")
        if (attempt.end == deputy_attempts.STALLED) != ("Stalled" in stated):
            wrong.append(f"it does not end as {attempt.end}: {stated}")
        return wrong

    async def call(self, call: deputy_attempts.Call) -> list[str]:
        """Let the tenant make a call beside his own resource; give what went wrong."""
        world, acting = await self._enter()
        code, message = await acting.create(
            _resource(world.namespace, deputy_attempts.Attempt("", deputy_attempts.SMALLEST))
        )
        assert code == 201, message
        await _visit(world)
        before = await world.versions()
        path = call.path.format(mine=world.namespace, theirs=RELEASE)
        code, message = await acting.call(call.verb, path, call.body, call.content_type)
        wrong = [] if code in (403, 422) else [f"not refused: HTTP {code} {message}"]
        return wrong if await world.versions() == before else [*wrong, "something has changed"]

    async def take(self, kind: Kind, owner: str) -> list[str]:
        """Let the tenant name his resource so that a child would be somebody else's object; give what went wrong."""
        world, acting = await self._enter()
        spec = deputy_attempts.SMALLEST | (
            {"autoscaling": {"maxReplicas": 3}} if kind is Kind.AUTOSCALER else {"replicas": 2}
        )
        resource = _resource(world.namespace, deputy_attempts.Attempt("", spec))
        name = _name_of(kind, resource)
        await self._backend.create(kind.plural, _foreign(kind, world.namespace, name, owner))
        before = await self._backend.read(kind.plural, world.namespace, name)
        code, message = await acting.create(resource)
        assert code == 201, message
        await _visit(world)
        after = await self._backend.read(kind.plural, world.namespace, name)
        wrong = [] if after == before else ["the object has been touched"]
        stated = await world.conditions()
        if stated.get("Stalled") != "True NameTaken":
            wrong.append(f"it is not said that the name is taken: {stated}")
        return wrong

    async def forge(self, kind: Kind) -> list[str]:
        """Let somebody put an object of his own there that looks like an orphan of ours; give what went wrong."""
        world, acting = await self._enter()
        spec = deputy_attempts.SMALLEST | {"autoscaling": {"maxReplicas": 3}}
        resource = _resource(world.namespace, deputy_attempts.Attempt("", spec))
        await self._operators.apply(plan.Apply(_forgery(kind, resource)))
        code, message = await acting.create(resource)
        assert code == 201, message
        await _visit(world)
        if kind is Kind.CONTROLLER_REVISION:
            stated, made = await world.conditions(), await world.child(Kind.DEPLOYMENT)
            is_told = stated.get("Stalled") == "True NameTaken" and made is None
            return [] if is_told else [f"its template may have been believed: {stated}"]
        return await self._gained(world, "iris")

    async def twins(self) -> list[str]:
        """Let the tenant choose a long name that begins like another's; give what went wrong."""
        world, acting = await self._enter()
        names = ["x" * 60 + end for end in ("a", "b")]
        for name in names:
            attempt = deputy_attempts.Attempt("", deputy_attempts.SMALLEST, {"name": name})
            code, message = await acting.create(_resource(world.namespace, attempt))
            assert code == 201, message
            for _ in range(3):
                with contextlib.suppress(errors.Waiting):
                    await world.reconciler.reconcile((world.namespace, name))
        listed = await self._backend.listed(Kind.CONTROLLER_REVISION.plural, world.namespace)
        owners = sorted(each["metadata"]["ownerReferences"][0]["name"] for each in listed)
        return [] if owners == names else [f"the revisions belong to {owners}"]

    async def _enter(self) -> tuple[cluster_world.World, tenant.Tenant]:
        namespace = f"deputy-{next(_namespaces)}"
        acting = await tenant.settle_in(self._backend, namespace)
        return cluster_world.World(self._backend, self._operators, namespace), acting

    async def _gained(self, world: cluster_world.World, name: str) -> list[str]:
        children: list[Manifest] = []
        for kind in Kind:
            children += await self._backend.listed(kind.plural, world.namespace)
        wrong = tenant.gains(children)
        wrong += [
            f"there is a {each['metadata']['name']}"
            for each in children
            if each["metadata"]["ownerReferences"][0]["name"] != name
        ]
        return wrong


def _resource(namespace: str, attempt: deputy_attempts.Attempt) -> Manifest:
    metadata = {"name": "iris", "namespace": namespace, **attempt.metadata}
    body = {"apiVersion": naming.API_VERSION, "kind": naming.KIND, "metadata": metadata, "spec": attempt.spec}
    return {**body, "status": attempt.status} if attempt.status else body


def _forgery(kind: Kind, resource: Manifest) -> Manifest:
    """Give what its maker would like the operator to adopt as its own, for a resource that is about to come."""
    name = _name_of(kind, resource)
    forgery = _foreign(kind, resource["metadata"]["namespace"], name, "nobody, with our labels")
    labels = naming.child_labels("iris")
    evil = {"name": "evil", "image": "evil:1", "securityContext": {"runAsUser": 0}}
    template = {"metadata": {"labels": labels}, "spec": {"hostPID": True, "containers": [evil]}}
    if kind is Kind.CONTROLLER_REVISION:
        forgery["data"] = {"intent": revisions.intent(_parsed(resource)), "template": template}
        template["metadata"] = {"labels": {**labels, naming.LABEL_REVISION: name}}
    if kind is Kind.DEPLOYMENT:
        selector = {"matchLabels": naming.selector_labels("iris")}
        forgery["spec"] = {"replicas": 3, "selector": selector, "template": template}
    return forgery


def _name_of(kind: Kind, resource: Manifest) -> str:
    """Give the name that a child of a resource has."""
    return revisions.name(_parsed(resource)) if kind is Kind.CONTROLLER_REVISION else "iris"


def _parsed(resource: Manifest) -> api.ModelDeployment:
    metadata = {**resource["metadata"], "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": resource["spec"]})


async def _visit(world: cluster_world.World) -> None:
    """Let the operator visit until the API server has answered all its calls, and once more."""
    for _ in range(4):
        outcome = await world.visit()
        if not isinstance(outcome, errors.ClusterError):
            break
        if outcome.status == 403:
            raise outcome
    await world.visit()


def _foreign(kind: Kind, namespace: str, name: str, owner: str) -> Manifest:
    """Give an object of a kind that belongs to somebody else."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if owner == "another controller":
        reference = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": "db",
            "uid": "1",
            "controller": True,
        }
        metadata["ownerReferences"] = [reference]
    if owner == "nobody, with our labels":
        metadata["labels"] = naming.child_labels("iris")
    selector = {"matchLabels": {"app": "database"}}
    container = {"name": "database", "image": "database:1"}
    template = {"metadata": {"labels": {"app": "database"}}, "spec": {"containers": [container]}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "database"}
    specs: dict[Kind, dict[str, Any]] = {
        Kind.CONTROLLER_REVISION: {"data": {"intent": {"model": {}}, "template": template}, "revision": 7},
        Kind.SERVICE: {
            "spec": {"ports": [{"port": 5432, "protocol": "TCP"}], "selector": {"app": "database"}}
        },
        Kind.DEPLOYMENT: {"spec": {"replicas": 3, "selector": selector, "template": template}},
        Kind.AUTOSCALER: {"spec": {"minReplicas": 1, "maxReplicas": 5, "scaleTargetRef": target}},
        Kind.DISRUPTION_BUDGET: {"spec": {"minAvailable": 1, "selector": selector}},
    }
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **specs[kind]}
