"""Scenarios of objects and specs that are not as they should be: drift, deletion, foreign objects, refusals."""

from modelyard_operator import errors, naming
from modelyard_operator.objects import Kind
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import MODEL, World


@scenario("what somebody changes by hand in a field of ours is put back; fields of others are left alone")
async def drift_repaired(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    await world.edit(
        Kind.DEPLOYMENT, {"spec": {"replicas": 9}, "metadata": {"annotations": {"else": "where"}}}
    )
    await world.edit(Kind.SERVICE, {"metadata": {"labels": {naming.LABEL_MANAGED_BY: "me"}}})
    await world.converge()
    deployment = await world.deployment()
    assert deployment["spec"]["replicas"] == 2
    assert deployment["metadata"]["annotations"]["else"] == "where"
    service = await world.child(Kind.SERVICE)
    assert service is not None
    assert service["metadata"]["labels"][naming.LABEL_MANAGED_BY] == naming.APP


@scenario("a child that somebody deletes comes back")
async def deleted_child(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    for kind in (Kind.SERVICE, Kind.DEPLOYMENT, Kind.DISRUPTION_BUDGET):
        await world.remove(kind)
    await world.converge()
    assert await world.child(Kind.SERVICE)
    assert await world.child(Kind.DISRUPTION_BUDGET)
    await world.deployment()


@scenario("an object of our name that is somebody else's is never touched, and the resource says what to do")
async def name_taken(world: World) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris", "namespace": world.namespace},
        "spec": {"ports": [{"port": 5432, "protocol": "TCP"}], "selector": {"app": "database"}},
    }
    await world.backend.create("services", foreign)
    before = await world.child(Kind.SERVICE)
    await world.create()
    outcome = await world.visit()
    assert isinstance(outcome, errors.Stalled)
    assert await world.child(Kind.SERVICE) == before
    assert await world.child(Kind.DEPLOYMENT) is None
    assert (await world.conditions())["Stalled"] == "True NameTaken"
    assert "Service iris" in await world.message("Stalled")
    await world.remove(Kind.SERVICE)
    await world.converge()
    await world.deployment()


@scenario("a Deployment that is somebody else's is not reported as ours, however ready its pods are")
async def foreign_deployment(world: World) -> None:
    labels = naming.selector_labels("iris")
    container = {"name": "web", "image": "web:1"}
    foreign = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "iris", "namespace": world.namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, naming.LABEL_REVISION: "theirs"}},
                "spec": {"containers": [container]},
            },
        },
    }
    await world.backend.create("deployments", foreign)
    await world.roll_out({"theirs": (2, 2)})
    before = await world.deployment()
    await world.create()
    await world.visit()
    assert await world.conditions() == {
        "Available": "False NoPodReady",
        "Ready": "False NameTaken",
        "Stalled": "True NameTaken",
    }
    assert "Deployment iris" in await world.message("Stalled")
    assert "stable" not in await world.status()
    assert await world.deployment() == before
    assert await world.child(Kind.SERVICE) is None


@scenario("a child left by an earlier resource of the same name is waited for, not fought over")
async def predecessor(world: World) -> None:
    owner = {
        "apiVersion": naming.API_VERSION,
        "kind": naming.KIND,
        "name": "iris",
        "uid": "gone",
        "controller": True,
    }
    leftover = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris", "namespace": world.namespace, "ownerReferences": [owner]},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}]},
    }
    await world.backend.create("services", leftover)
    await world.create()
    outcome = await world.visit()
    assert isinstance(outcome, errors.Waiting)
    assert (await world.conditions())["Reconciling"] == "True WaitingForDeletion"
    await world.remove(Kind.SERVICE)
    await world.converge()
    await world.deployment()


@scenario("a runtime class, format or label that is not offered is stalled with the remedy until corrected")
async def not_offered(world: World) -> None:
    await world.create(replicas=1, runtime={"class": "gpu"})
    outcome = await world.visit()
    assert isinstance(outcome, errors.Stalled)
    assert (await world.conditions())["Stalled"] == "True RuntimeClassUnknown"
    assert "default" in await world.message("Stalled")
    await world.change(runtime={"class": "keras"}, model={**MODEL, "format": "sklearn"})
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True FormatNotOffered"
    assert "Set spec.runtime.class to default" in await world.message("Stalled")
    await world.change(runtime={"class": "default"}, model={**MODEL, "format": "torch"})
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True FormatNotOffered"
    assert "keras: keras, mlflow" in await world.message("Stalled")
    await world.change(model={**MODEL, "format": None}, pod={"labels": {"app": "other"}})
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True MetadataNotAllowed"
    assert "team.example.com/" in await world.message("Stalled")
    await world.change(pod=None, service={"annotations": {"external-dns.example/hostname": "x"}})
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True MetadataNotAllowed"
    await world.change(service=None)
    await world.converge()
    assert "Stalled" not in await world.conditions()


@scenario("a child that the API server finds invalid stalls with the server's words")
async def child_rejected(world: World) -> None:
    await world.create(autoscaling={"maxReplicas": 2, "metrics": [{"type": "Nonsense"}]})
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True ChildRejected"
    assert "Nonsense" in await world.message("Stalled")


@scenario("what others write into the status is left alone, and what is ours is put back, without a fight")
async def status_drift(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    await world.backend.patch(
        naming.PLURAL, world.namespace, "iris", {"status": {"replicas": 99, "digest": "theirs"}}, "status"
    )
    await world.converge()
    status = await world.status()
    assert status["replicas"] == 0


@scenario("a resource that is being deleted or has gone is left alone")
async def gone(world: World) -> None:
    assert await world.visit() is None
    assert await world.child(Kind.DEPLOYMENT) is None


@scenario(
    "a Service that somebody turns into another kind while the resource is paused is told, and repaired afterwards"
)
async def paused_drift(world: World) -> None:
    await world.create(replicas=1, paused=False)
    await world.converge()
    await world.roll_out()
    await world.change(paused=True)
    spec = {"type": "ExternalName", "externalName": "elsewhere.example", "ports": None, "selector": None}
    await world.edit(Kind.SERVICE, {"spec": {**spec, "clusterIP": None, "clusterIPs": None}})
    assert await world.visit() is None
    assert (await world.conditions())["Ready"] == "False Paused"
    assert "spec.type" in await world.message("Ready")
    assert "url" not in await world.status()
    await world.change(paused=False)
    await world.converge()
    service = await world.child(Kind.SERVICE)
    assert service is not None
    assert service["spec"]["type"] == "ClusterIP"
    assert (await world.conditions())["Ready"] == "True RolledOut"
