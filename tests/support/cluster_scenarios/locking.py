"""Scenarios of locks: which bytes the pods of a revision serve when the author has pinned none."""

import json
from typing import Any

from modelyard_operator import naming
from modelyard_operator.objects import Manifest
from tests.support import cluster_world
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World

FIRST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
REFUSED = json.dumps(
    {
        "reason": "DigestChanged",
        "message": f"s3://models/iris/model.joblib has now the digest {OTHER}, but the pods of this revision were"
        f" started with {FIRST}.",
        "stage": "Verifying",
    }
)
REFUSES = cluster_world.terminated(naming.FETCH, 83, REFUSED)


async def locked(world: World, **spec: Any) -> str:
    """Have a revision whose first pod has loaded, and give its name."""
    await world.create(**spec)
    await world.converge()
    revision = await world.template_revision()
    await world.roll_out()
    await world.pod(revision, cluster_world.fetched(FIRST))
    await world.converge()
    return revision


async def lock(world: World, revision: str) -> Manifest | None:
    return await world.backend.read("configmaps", world.namespace, naming.lock_name(revision))


async def record(world: World, revision: str) -> Manifest:
    found = await world.backend.read("controllerrevisions", world.namespace, revision)
    assert found is not None
    return found


async def pods(world: World) -> set[str]:
    return {each["metadata"]["name"] for each in await world.backend.listed("pods", world.namespace)}


@scenario("the first pod of an unpinned revision to load fixes the digest for all that follow")
async def fixed(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    revision = await world.template_revision()
    await world.roll_out({revision: (0, 1)}, complete=False)
    first = await world.pod(revision, cluster_world.fetched(FIRST, loaded=False))
    await world.converge()
    assert await lock(world, revision) is None
    assert (await world.status())["candidate"]["digest"] == FIRST
    status = cluster_world.fetched(FIRST)
    await world.backend.patch("pods", world.namespace, first, {"status": status}, "status")
    await world.roll_out()
    generation = (await world.deployment())["metadata"]["generation"]
    await world.converge()
    found = await lock(world, revision)
    assert found is not None
    assert found["data"] == {"digest": FIRST, "format": "sklearn"}
    assert found["immutable"] is True
    stored = await record(world, revision)
    assert found["metadata"]["ownerReferences"][0]["uid"] == stored["metadata"]["uid"]
    assert json.loads(stored["metadata"]["annotations"][naming.MARK_LOCK])["digest"] == FIRST
    for container in (naming.FETCH, naming.SERVE):
        read = _variable(await world.deployment(), container)["valueFrom"]["configMapKeyRef"]
        assert read == {"name": found["metadata"]["name"], "key": "digest", "optional": True}
    await world.remove_pods()  # it is known without them from now on
    await world.converge()
    stable = (await world.status())["stable"]
    assert (stable["digest"], stable["format"]) == (FIRST, "sklearn")
    status = await world.status()
    assert (status["digest"], status["format"]) == ("a" * 12, "sklearn")
    assert (await world.deployment())["metadata"]["generation"] == generation
    assert (await world.conditions())["Ready"] == "True RolledOut"


def _variable(deployment: Manifest, container: str) -> dict[str, Any]:
    spec = deployment["spec"]["template"]["spec"]
    found = next(each for each in (*spec["initContainers"], *spec["containers"]) if each["name"] == container)
    return next(each for each in found["env"] if each["name"] == naming.ENV_LOCKED_DIGEST)


@scenario("a pinned revision has no lock, and its pods look for none")
async def pinned(world: World) -> None:
    revision = await locked(world, replicas=1, model={**cluster_world.MODEL, "digest": FIRST})
    assert await lock(world, revision) is None
    assert "annotations" not in (await record(world, revision))["metadata"]
    assert naming.ENV_LOCKED_DIGEST not in str(await world.deployment())
    stable = (await world.status())["stable"]
    assert (stable["digest"], stable["format"]) == (FIRST, "sklearn")


@scenario("a pod that had fetched other bytes before there was a lock is stopped, its successor refuses")
async def race(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    revision = await world.template_revision()
    await world.roll_out({revision: (1, 2)}, complete=False)
    first = await world.pod(revision, cluster_world.fetched(FIRST))
    other = await world.pod(revision, cluster_world.fetched(OTHER, loaded=False))
    labelled_alike = await _pod_of_somebody(world, revision)
    await world.converge()
    assert await pods(world) == {first, labelled_alike}
    successor = await world.pod(revision, REFUSES)
    await world.converge()
    assert await pods(world) == {first, labelled_alike, successor}
    assert (await world.conditions())["Stalled"] == "True DigestChanged"
    message = await world.message("Stalled")
    assert all(words in message for words in (FIRST, OTHER, successor))
    assert other not in message


async def _pod_of_somebody(world: World, revision: str) -> str:
    """Have a pod with all of our labels that none of our ReplicaSets has made; it claims to have loaded long ago."""
    template = (await world.deployment())["spec"]["template"]
    name = "aaa"
    metadata = {"name": name, "namespace": world.namespace, "labels": template["metadata"]["labels"]}
    spec = {**template["spec"], "serviceAccountName": "default"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    await world.backend.create("pods", body)
    status = cluster_world.fetched("sha256:" + "e" * 64)
    await world.backend.patch("pods", world.namespace, name, {"status": status}, "status")
    return name


@scenario("pods that serve what they are locked to go on, and what a new one refuses is told while they do")
async def scaled_up(world: World) -> None:
    revision = await locked(world, replicas=1)
    await world.change(replicas=2)
    await world.converge()
    await world.roll_out({revision: (1, 2)})
    before = await pods(world)
    await world.pod(revision, REFUSES)
    await world.converge()
    assert before < await pods(world)
    assert (await world.conditions())["Available"] == "True PodsReady"
    assert (await world.conditions())["Stalled"] == "True DigestChanged"
    status = await world.status()
    assert status["stable"]["failure"]["exitCode"] == 83
    assert status["stable"]["digest"] == FIRST


@scenario("a rollback to a revision whose artifact has changed since says so")
async def rolled_back_to_changed(world: World) -> None:
    first = await locked(world, replicas=1, rollout={"onFailure": "Rollback"})
    await world.change(model={"uri": "s3://models/iris/broken.joblib"})
    await world.converge()
    broken = await world.template_revision()
    await world.roll_out({first: (1, 1), broken: (0, 1)}, complete=False)
    told = json.dumps({"reason": "LoadFailed", "message": "No pickle.", "stage": "Loading"})
    await world.pod(broken, cluster_world.terminated(naming.SERVE, 70, told))
    await world.converge()
    assert await world.template_revision() == first
    await world.remove_pods()
    await world.roll_out({first: (0, 1)}, complete=False)
    await world.pod(first, REFUSES)
    await world.converge()
    assert (await world.conditions())["Stalled"] == "True RolledBack"
    message = await world.message("Stalled")
    assert all(words in message for words in ("LoadFailed", "DigestChanged", FIRST, OTHER))
    assert (await world.status())["stable"]["failure"]["reason"] == "DigestChanged"


@scenario("a newer image serves the same bytes: its revision is locked from the beginning")
async def newer_image(world: World) -> None:
    first = await locked(world, replicas=1, runtime={"updatePolicy": "Auto"})
    world.with_settings(cluster_world.another_image("modelyard/runtime:newer"))
    await world.converge()
    second = await world.template_revision()
    assert second != first
    found = await lock(world, second)
    assert found is not None
    assert found["data"]["digest"] == FIRST


@scenario("a paused resource is neither locked nor are its pods stopped, and it says what is held back")
async def paused(world: World) -> None:
    await world.create(replicas=2)
    await world.converge()
    revision = await world.template_revision()
    await world.change(paused=True)
    await world.roll_out()
    for digest in (FIRST, OTHER):
        await world.pod(revision, cluster_world.fetched(digest))
    before = await pods(world)
    await world.converge()
    assert await pods(world) == before
    assert await lock(world, revision) is None
    assert f"create ConfigMap {naming.lock_name(revision)}" in await world.message("Ready")
    await world.change(paused=False)
    await world.converge()
    assert len(await pods(world)) == 1
