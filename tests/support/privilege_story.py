"""A life of the operator with the chart's own rights, in which it does everything it ever does.

`live` plays it on a real API server: the operator is a process, users and Kubernetes' controllers are played by
`cluster_world`. What it has used is read from the audit log afterwards (`audit_trail`).
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from modelyard_operator import naming
from modelyard_operator.objects import Kind, Manifest
from tests.support import chart_rights, cluster_apiserver, cluster_process, cluster_world

INSTANCE = "privilege"
PODS = "models"  # the namespace of the models
Backend = cluster_apiserver.ApiBackend
World = cluster_world.World
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


class Account(msgspec.Struct, frozen=True):
    """What a life has shown.

    Attributes:
        user: the operator's, as the audit log has it.
        manifests: the chart's service accounts, roles and bindings.
        reviewed: what the API server says that the operator may do where the models are and where its Lease is,
            without what every service account may.
        reviewed_of_pods: the same of the service account that the models' pods run as.
        pod: a pod of a model as the API server admits it.
    """

    user: str
    manifests: list[Manifest]
    reviewed: set[chart_rights.Right]
    reviewed_of_pods: set[chart_rights.Right]
    pod: Manifest


async def live(kubeconfig: Path, folder: Path, release: str) -> Account:
    """Install the chart's rights, let the operator live with them, and give what there is to say."""
    async with cluster_apiserver.connect(kubeconfig) as (backend, cluster):
        await backend.install_crd()
        await backend.make_namespace(release)
        await backend.make_namespace(PODS)
        manifests = await chart_rights.installed(backend, release)
        token = await chart_rights.token(backend, release)
        limited = cluster_process.write_kubeconfig(
            folder / "kubeconfig", *cluster_process.server_of(kubeconfig, folder), token
        )
        world = World(backend, cluster, PODS)
        environment = {
            "MODELYARD_LEADER_ELECTION": "true",
            "MODELYARD_LEASE_NAMESPACE": release,
            "MODELYARD_FRESHNESS_INTERVAL_SECONDS": "1",
        }
        async with cluster_process.started(limited, folder, **environment) as operator:
            await operator.until_ready()
            await _life(world)
            pod = await _admitted(backend, await world.deployment())
            await world.backend.remove(naming.PLURAL, PODS, "iris")
        everybody = await _review(backend, "default", "nobody", (release, PODS))
        operators = await _review(backend, release, chart_rights.OPERATOR, (release, PODS)) - everybody
        pods = await _review(backend, PODS, "default", (PODS,)) - everybody
    user = f"system:serviceaccount:{release}:{chart_rights.OPERATOR}"
    return Account(user, manifests, operators, pods, pod)


async def _life(world: World) -> None:
    """Create, lock, drift, update, roll out, forget old revisions, autoscale, take that back, stop."""
    await world.create(replicas=2, revisionHistoryLimit=1)
    await _until(lambda: _has(world, Kind.DISRUPTION_BUDGET), "all children")
    await world.roll_out()
    await _until(lambda: _is(world, "True RolledOut"), "Ready")
    await _lock(world)
    for kind in (Kind.SERVICE, Kind.DISRUPTION_BUDGET, Kind.DEPLOYMENT):
        await world.remove(kind)
        await _until(lambda kind=kind: _has(world, kind), f"{kind.kind} is back")  # type: ignore[misc]
    for number in range(3):
        before = await world.template_revision()
        await world.change(model={"uri": f"s3://models/iris/{number}.joblib"})
        await _until(lambda before=before: _differs(world, before), "a new revision")  # type: ignore[misc]
        await world.roll_out()
        await _until(lambda: _is(world, "True RolledOut"), "Ready again")
    await world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 3})
    await _until(lambda: _has(world, Kind.AUTOSCALER), "the autoscaler")
    await world.edit(Kind.AUTOSCALER, {"spec": {"maxReplicas": 9}})
    await _until(lambda: _limit(world, 3), "the autoscaler is put right")
    # Another model at the same time: what deletes is decided on live reads, that of the new revision's name among them.
    await world.change(autoscaling=None, replicas=1, model={"uri": "s3://models/iris/last.joblib"})
    for kind in (Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET):
        await _until(lambda kind=kind: _lacks(world, kind), f"no {kind.kind}")  # type: ignore[misc]


async def _lock(world: World) -> None:
    """Have two pods fetch different bytes, and somebody meddle with the lock that comes of it."""
    revision = await world.template_revision()
    for digest in ("sha256:" + "a" * 64, "sha256:" + "b" * 64):
        await world.pod(revision, cluster_world.fetched(digest))
    await _until(lambda: _counts(world, "pods", 1), "the pod with other bytes is stopped")
    await world.remove_pods()
    (lock,) = await world.backend.listed("configmaps", PODS)
    name = lock["metadata"]["name"]
    # A label that neither watch nor list goes by; then all of them, so that it has to be looked for by its name.
    for labels in ([naming.LABEL_COMPONENT], naming.child_labels("iris")):
        meddled = {"metadata": {"labels": dict.fromkeys(labels)}}
        await world.backend.patch("configmaps", PODS, name, meddled)
        await _until(lambda: _has_its_labels(world, name), "the lock's labels are put right")


async def _counts(world: World, plural: str, number: int) -> bool:
    return len(await world.backend.listed(plural, PODS)) == number


async def _has_its_labels(world: World, name: str) -> bool:
    found = await world.backend.read("configmaps", PODS, name)
    return (
        found is not None
        and naming.child_labels("iris").items() <= found["metadata"].get("labels", {}).items()
    )


async def _until(look: Callable[[], Awaitable[bool]], what: str) -> None:
    await cluster_world.wait_until(look, what, 60)


async def _has(world: World, kind: Kind) -> bool:
    return await world.child(kind) is not None


async def _lacks(world: World, kind: Kind) -> bool:
    return await world.child(kind) is None


async def _is(world: World, *answers: str) -> bool:
    return (await world.conditions()).get("Ready") in answers


async def _differs(world: World, before: str) -> bool:
    return await world.template_revision() != before


async def _limit(world: World, most: int) -> bool:
    found = await world.child(Kind.AUTOSCALER)
    return found is not None and found["spec"]["maxReplicas"] == most


async def _admitted(backend: Backend, deployment: Manifest) -> Manifest:
    """Give the pod that a Deployment's template becomes, without keeping it."""
    template = deployment["spec"]["template"]
    body = {"metadata": {"name": "admitted", **template["metadata"]}, "spec": template["spec"]}
    return await backend.must("POST", f"/api/v1/namespaces/{PODS}/pods?dryRun=All", body)


async def _review(
    backend: Backend, namespace: str, account: str, places: tuple[str, ...]
) -> set[chart_rights.Right]:
    """Give what a service account may do in some namespaces."""
    user = f"system:serviceaccount:{namespace}:{account}"
    found: set[chart_rights.Right] = set()
    for place in places:
        answer = await backend.must("POST", _REVIEW, {"spec": {"namespace": place}}, as_user=user)
        assert not answer["status"]["incomplete"]
        found |= chart_rights.spread(answer["status"]["resourceRules"])
    return found


async def ask_as(backend: Backend, account: str, path: str) -> int:
    """Make a GET as a service account of the default namespace and give the status."""
    status, _answer = await backend.request("GET", path, as_user=f"system:serviceaccount:default:{account}")
    return status
