"""Scenarios of locks that get lost, are taken, change hands or go with their revision."""

import json

from modelyard_operator import naming
from modelyard_operator.objects import Kind
from tests.support import cluster_world
from tests.support.cluster_scenarios.locking import FIRST, OTHER, lock, locked, pods, record
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World


@scenario("a lock that somebody deletes or whose label he takes off comes back, and no pod restarts")
async def comes_back(world: World) -> None:
    revision = await locked(world, replicas=1)
    await world.remove_pods()
    generation = (await world.deployment())["metadata"]["generation"]
    await world.backend.remove("configmaps", world.namespace, naming.lock_name(revision))
    await world.converge()
    found = await lock(world, revision)
    assert found is not None
    assert found["data"]["digest"] == FIRST
    patch = {"metadata": {"labels": {naming.LABEL_MANAGED_BY: None}}}
    await world.backend.patch("configmaps", world.namespace, found["metadata"]["name"], patch)
    await world.converge()
    found = await lock(world, revision)
    assert found is not None
    assert found["metadata"]["labels"][naming.LABEL_MANAGED_BY] == naming.APP
    assert (await world.deployment())["metadata"]["generation"] == generation
    before = await world.versions()
    await world.visit()
    assert await world.versions() == before


@scenario("a mark of a lock that somebody takes off or breaks is put back from what the pods read")
async def mark_comes_back(world: World) -> None:
    revision = await locked(world, replicas=1)
    for broken in (None, "sha256:nonsense"):
        patch = {"metadata": {"annotations": {naming.MARK_LOCK: broken}}}
        await world.backend.patch("controllerrevisions", world.namespace, revision, patch)
        await world.remove_pods()
        await world.converge()
        stored = await record(world, revision)
        assert json.loads(stored["metadata"]["annotations"][naming.MARK_LOCK])["digest"] == FIRST


@scenario("a ConfigMap of somebody else under the name of a lock is left alone and told; all else goes on")
async def taken(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    revision = await world.template_revision()
    foreign = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": naming.lock_name(revision), "namespace": world.namespace},
        "data": {"digest": OTHER},
    }
    await world.backend.create("configmaps", foreign)
    await world.roll_out()
    await world.pod(revision, cluster_world.fetched(FIRST))
    other = await world.pod(revision, cluster_world.fetched(OTHER))
    await world.converge()
    assert (await world.conditions())["Stalled"] == "True NameTaken"
    assert (await world.conditions())["Available"] == "True PodsReady"
    assert f"ConfigMap {naming.lock_name(revision)}" in await world.message("Stalled")
    found = await lock(world, revision)
    assert found is not None
    assert found["data"] == {"digest": OTHER}
    assert other in await pods(world)  # its successor would not know what it may serve
    await world.change(replicas=2)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 2
    await world.backend.remove("configmaps", world.namespace, naming.lock_name(revision))
    await world.converge()
    found = await lock(world, revision)
    assert found is not None
    assert found["data"]["digest"] == FIRST
    assert other not in await pods(world)


@scenario("when record and lock are deleted a revision is locked again to what its pods run")
async def all_is_lost(world: World) -> None:
    revision = await locked(world, replicas=1)
    generation = (await world.deployment())["metadata"]["generation"]
    await world.backend.remove("controllerrevisions", world.namespace, revision)
    await world.backend.remove("configmaps", world.namespace, naming.lock_name(revision))
    await world.converge()
    stored = await record(world, revision)
    assert json.loads(stored["metadata"]["annotations"][naming.MARK_LOCK])["digest"] == FIRST
    found = await lock(world, revision)
    assert found is not None
    assert found["metadata"]["ownerReferences"][0]["uid"] == stored["metadata"]["uid"]
    assert (await world.deployment())["metadata"]["generation"] == generation


@scenario("a record that is deleted takes its lock over from the one that is left, which belongs to it again")
async def record_is_lost(world: World) -> None:
    revision = await locked(world, replicas=1)
    await world.remove_pods()
    await world.backend.remove("controllerrevisions", world.namespace, revision)
    await world.converge()
    stored = await record(world, revision)
    found = await lock(world, revision)
    assert found is not None
    owners = [each["uid"] for each in found["metadata"]["ownerReferences"]]
    assert owners == [stored["metadata"]["uid"]]
    assert json.loads(stored["metadata"]["annotations"][naming.MARK_LOCK])["digest"] == FIRST


@scenario("an adopted model keeps its lock")
async def adopted(world: World) -> None:
    revision = await locked(world, replicas=1)
    before = await lock(world, revision)
    await world.orphan()
    await world.create(replicas=1)
    await world.converge()
    await world.roll_out()
    await world.converge()
    after = await lock(world, revision)
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (await world.status())["stable"]["digest"] == FIRST
    assert (await world.conditions())["Ready"] == "True RolledOut"


@scenario("a lock goes with its revision: it hangs on the record, and none is made for one forgotten")
async def forgotten(world: World) -> None:
    first = await locked(world, replicas=1, revisionHistoryLimit=1)
    for number in range(2):
        await world.change(model={"uri": f"s3://models/iris/{number}.joblib"})
        await world.converge()
        await world.roll_out()
        await world.converge()
    assert await world.backend.read("controllerrevisions", world.namespace, first) is None
    if await lock(world, first) is not None:  # the garbage collector's part, where there is none
        await world.backend.remove("configmaps", world.namespace, naming.lock_name(first))
    await world.converge()
    assert await lock(world, first) is None
    assert await world.child(Kind.DEPLOYMENT)
