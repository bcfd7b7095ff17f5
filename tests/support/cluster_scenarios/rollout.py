"""Scenarios of rollouts: the first, the good, the bad, the way back, and what the status says at each step."""

import json

from modelyard_operator import errors, naming
from modelyard_operator.objects import Kind
from tests.support import cluster_world
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World


@scenario("a new resource gets its children and says that it is on its way, at the first visit")
async def new(world: World) -> None:
    await world.create(replicas=2)
    await world.visit()
    assert await world.child(Kind.SERVICE)
    assert await world.child(Kind.DISRUPTION_BUDGET)
    assert await world.child(Kind.AUTOSCALER) is None
    assert (await world.deployment())["spec"]["replicas"] == 2
    assert await world.conditions() == {
        "Available": "False NoPodReady",
        "Ready": "Unknown Observing",
        "Reconciling": "True Observing",
    }
    status = await world.status()
    assert status["observedGeneration"] == 1
    assert status["candidate"]["revision"] == await world.template_revision()
    assert "stable" not in status


@scenario("a resource whose pods are all ready is ready, and visiting it again writes nothing")
async def converged(world: World) -> None:
    await world.create(
        replicas=2, model={**cluster_world.MODEL, "format": "sklearn", "digest": "sha256:" + "a" * 64}
    )
    await world.visit()
    await world.roll_out()
    await world.visit()
    before = await world.versions()
    assert await world.visit() is None
    assert await world.versions() == before
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "True RolledOut"}
    status = await world.status()
    assert status["stable"] == {
        "revision": await world.template_revision(),
        "uri": "s3://models/iris/model.joblib",
        "format": "sklearn",
        "digest": "sha256:" + "a" * 64,
        "ready": 2,
        "replicas": 2,
    }
    assert (status["available"], status["digest"]) == ("2/2", "a" * 12)
    assert status["url"] == f"http://iris.{world.namespace}.svc.cluster.local"
    assert "candidate" not in status


@scenario("every field of a large spec converges: nothing is written again and again")
async def converged_large(world: World) -> None:
    queue = {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "1000m"}}
    await world.create(
        model={**cluster_world.MODEL, "credentials": {"secretName": "s3"}, "name": "flowers"},
        autoscaling={
            "minReplicas": 2,
            "maxReplicas": 5,
            "targetCPUUtilization": 60,
            "metrics": [{"type": "Pods", "pods": queue}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
        },
        resources={
            "requests": {"cpu": "1000m", "memory": "0.5Gi"},
            "limits": {"cpu": 2, "nvidia.com/gpu": 1},
        },
        runtime={"class": "default", "logLevel": "debug"},
        service={"type": "NodePort", "port": 8000, "annotations": {"team.example.com/a": "b"}},
        pod={
            "labels": {"team.example.com/owner": "me"},
            "annotations": {"team.example.com/note": "hello"},
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone"}],
            "drainSeconds": 10,
        },
    )
    await world.converge()
    await world.roll_out()
    await world.converge()
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before
    assert (await world.conditions())["Ready"] == "True RolledOut"
    assert (await world.status())["url"] == f"http://iris.{world.namespace}.svc.cluster.local:8000"


@scenario("an update to a model that fails leaves the old pods serving and says why within one visit")
async def bad_update(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    await world.roll_out()
    await world.converge()
    old = await world.template_revision()
    await world.change(model={"uri": "s3://models/iris/broken.joblib"})
    await world.visit()
    new_revision = await world.template_revision()
    assert new_revision != old
    await world.roll_out({old: (2, 2), new_revision: (0, 1)}, complete=False)
    told = {"reason": "LoadFailed", "message": "broken.joblib is no pickle.", "stage": "Loading"}
    await world.pod(new_revision, cluster_world.terminated(naming.SERVE, 70, json.dumps(told)))
    outcome = await world.visit()
    assert isinstance(outcome, errors.Waiting)
    assert await world.conditions() == {
        "Available": "True PodsReady",
        "Ready": "False LoadFailed",
        "Stalled": "True LoadFailed",
    }
    assert "broken.joblib is no pickle." in await world.message("Stalled")
    status = await world.status()
    assert (status["stable"]["revision"], status["stable"]["ready"]) == (old, 2)
    assert status["candidate"]["failure"] == {
        "reason": "LoadFailed",
        "message": "broken.joblib is no pickle.",
        "exitCode": 70,
        "pod": f"{new_revision}-0",
    }


@scenario("a revision's failure is told from its own pods only")
async def own_pods_only(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    old = await world.template_revision()
    await world.roll_out({old: (0, 1)}, complete=False)
    told = {"reason": "ArtifactNotFound", "message": "There is nothing at that address.", "stage": "Fetching"}
    await world.pod(old, cluster_world.terminated(naming.FETCH, 66, json.dumps(told)))
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True ArtifactNotFound"
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    await world.roll_out({old: (0, 1), await world.template_revision(): (0, 1)}, complete=False)
    await world.visit()
    assert (await world.conditions())["Reconciling"] == "True RollingOut"
    assert "failure" not in (await world.status())["candidate"]


@scenario("going back to an earlier model reuses its revision as it was rendered")
async def way_back(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    await world.roll_out()
    await world.converge()
    first = await world.template_revision()
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    await world.change(model={"uri": "s3://models/iris/model.joblib"})
    await world.converge()
    assert await world.template_revision() == first
    stored = await world.backend.listed("controllerrevisions", world.namespace)
    numbers = {each["metadata"]["name"]: each["revision"] for each in stored}
    assert len(numbers) == 2
    assert numbers[first] == 3


@scenario("the history keeps ten revisions, and never loses the one that is wanted")
async def history(world: World) -> None:
    await world.create(replicas=1)
    for number in range(12):
        await world.change(model={"uri": f"s3://models/iris/{number}.joblib"})
        await world.converge()
    stored = await world.backend.listed("controllerrevisions", world.namespace)
    assert len(stored) == 10
    assert await world.template_revision() in {each["metadata"]["name"] for each in stored}


@scenario("a later operator with another runtime image restarts nothing that exists")
async def operator_upgrade(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    await world.roll_out()
    await world.converge()
    before = await world.child_versions()
    world.with_settings(cluster_world.another_image("modelyard/runtime:newer"))
    await world.converge()
    assert await world.child_versions() == before
    runtime = (await world.status())["runtime"]
    assert (runtime["image"], runtime["newer"]) == ("modelyard/runtime:test", "modelyard/runtime:newer")
    assert "spec.runtime.updatePolicy to Auto" in runtime["message"]
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "True RolledOut"}
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    containers = (await world.deployment())["spec"]["template"]["spec"]["containers"]
    assert containers[0]["image"] == "modelyard/runtime:newer"


@scenario("a rollout that makes no progress in time is stalled")
async def late(world: World) -> None:
    await world.create(replicas=1)
    await world.visit()
    await world.roll_out({await world.template_revision(): (0, 1)}, complete=False, late=True)
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True ProgressDeadlineExceeded"


@scenario("a failure that may pass is on its way until the progress deadline, and stalled after it")
async def may_pass(world: World) -> None:
    await world.create(replicas=1)
    await world.visit()
    revision = await world.template_revision()
    await world.roll_out({revision: (0, 1)}, complete=False)
    await world.pod(
        revision, cluster_world.waiting(naming.FETCH, "ImagePullBackOff", "Back-off pulling image")
    )
    await world.visit()
    assert (await world.conditions())["Reconciling"] == "True ImagePullFailed"
    await world.roll_out({revision: (0, 1)}, complete=False, late=True)
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True ImagePullFailed"


@scenario("a pod that is lost after the rollout makes the resource not ready, and it stays available")
async def pod_lost(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    await world.roll_out()
    await world.converge()
    await world.roll_out({await world.template_revision(): (1, 2)})
    await world.visit()
    assert await world.conditions() == {
        "Available": "True PodsReady",
        "Ready": "False PodsNotReady",
        "Reconciling": "True PodsNotReady",
    }
    assert "stable" in await world.status()


@scenario("paused holds every change but the status, and says what it holds")
async def paused(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    await world.roll_out()
    await world.converge()
    before = await world.deployment()
    await world.change(paused=True, replicas=3)
    assert await world.visit() is None
    assert await world.deployment() == before
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "False Paused"}
    assert "spec.replicas" in await world.message("Ready")
    await world.change(replicas=2)
    await world.visit()
    assert (await world.conditions())["Ready"] == "True RolledOut"
