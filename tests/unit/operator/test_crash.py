"""The operator is stopped right before and right after every single write, and what comes of it is always the same.

Two oracles, as Sieve uses them: the end state, and how often each object was created and deleted.
"""

import asyncio
import collections
import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from modelyard_operator import naming, plan
from modelyard_operator.objects import Manifest
from tests.support import cluster_memory, cluster_world

TOLD = '{"reason": "LoadFailed", "message": "No pickle.", "stage": "Loading"}'
Step = Callable[[cluster_world.World], Awaitable[None]]


class Crash(Exception):  # noqa: N818 - named for what it stands for
    """The process is gone."""


class Crashing(cluster_memory.MemoryCluster):
    """An API whose caller dies at its n-th write, before or after it."""

    def __init__(self, at: int, *, after: bool) -> None:
        super().__init__()
        self._left = at
        self._after = after

    async def apply(self, action: plan.Apply) -> Manifest:
        self._die(after=False)
        live = await super().apply(action)
        self._die(after=True)
        return live

    async def delete(self, action: plan.Delete) -> None:
        self._die(after=False)
        await super().delete(action)
        self._die(after=True)

    async def stop_pod(self, action: plan.StopPod) -> None:
        self._die(after=False)
        await super().stop_pod(action)
        self._die(after=True)

    async def apply_status(self, manifest: Manifest) -> None:
        self._die(after=False)
        await super().apply_status(manifest)
        self._die(after=True)

    def _die(self, *, after: bool) -> None:
        if not after:
            self._left -= 1
        if self._left == 0 and after is self._after:
            self._left = -1
            raise Crash


def change(**spec: Any) -> Step:
    return lambda world: world.change(**spec)


async def newer_image(world: cluster_world.World) -> None:
    world.with_settings(cluster_world.another_image("modelyard/runtime:newer"))


async def readopt(world: cluster_world.World) -> None:
    await world.orphan()
    await world.create(replicas=2)


async def load(world: cluster_world.World) -> None:
    """Have two pods fetch different bytes; the first has loaded them."""
    revision = await world.template_revision()
    await world.pod(revision, cluster_world.fetched("sha256:" + "a" * 64))
    await world.pod(revision, cluster_world.fetched("sha256:" + "b" * 64, loaded=False))


async def lose_records(world: cluster_world.World) -> None:
    revision = await world.template_revision()
    await world.backend.remove("controllerrevisions", "default", revision)
    await world.backend.remove("configmaps", "default", naming.lock_name(revision))


BROKEN = {"uri": "s3://b/broken"}
STORIES: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "create": ({"replicas": 2}, []),
    "create with an autoscaler": ({"autoscaling": {"minReplicas": 2, "maxReplicas": 4}}, []),
    "update the model": ({"replicas": 2}, [change(model={"uri": "s3://b/new"})]),
    "scale": ({"replicas": 2}, [change(replicas=1), change(replicas=3)]),
    "to an autoscaler": (
        {"replicas": 3},
        [change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 4})],
    ),
    "from an autoscaler": (
        {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}},
        [change(autoscaling=None, replicas=3)],
    ),
    "there and back": (
        {"replicas": 1},
        [change(model={"uri": "s3://b/new"}), change(model={"uri": "s3://models/iris/model.joblib"})],
    ),
    "stop and start": ({"replicas": 2}, [change(replicas=0), change(replicas=2)]),
    "to recreate and back": (
        {"replicas": 2},
        [change(rollout={"strategy": "Recreate"}, model={"uri": "s3://b/new"}), change(rollout=None)],
    ),
    "orphan and adopt": ({"replicas": 2}, [readopt]),
    "adopt a newer image": ({"replicas": 2, "runtime": {"updatePolicy": "Auto"}}, [newer_image]),
    "lock and stop a pod": ({"replicas": 2}, [load]),
    "lose a lock": ({"replicas": 2}, [load, lose_records]),
    "take over a lock": ({"replicas": 2, "runtime": {"updatePolicy": "Auto"}}, [load, newer_image]),
    "roll back": ({"replicas": 2, "rollout": {"onFailure": "Rollback"}}, [change(model=BROKEN)]),
    "roll back what was held": (
        {"replicas": 2},
        [change(model=BROKEN), change(rollout={"onFailure": "Rollback"})],
    ),
    "roll back and try again": (
        {"replicas": 2, "rollout": {"onFailure": "Rollback"}},
        [change(model=BROKEN), change(replicas=3), change(model={"uri": "s3://b/new"})],
    ),
}


async def play(cluster: cluster_memory.MemoryCluster, story: str) -> None:
    spec, steps = STORIES[story]
    world = cluster_world.World(cluster, cluster)
    await world.create(**spec)
    for step in [None, *steps]:
        if step is not None:
            await step(world)
        try:
            await world.converge()
        except Crash:
            world = cluster_world.World(cluster, cluster, settings=world.settings)  # a new process
            await world.converge()
        await roll_out(world)
        try:
            await world.converge()
        except Crash:
            world = cluster_world.World(cluster, cluster, settings=world.settings)
            await world.converge()


async def roll_out(world: cluster_world.World) -> None:
    """Play Kubernetes' part: everything becomes ready, but a model that is called broken."""
    revision = await world.template_revision()
    stored = await world.backend.read("controllerrevisions", "default", revision)
    assert stored is not None
    if stored["data"]["intent"]["model"]["uri"] != BROKEN["uri"]:
        await world.roll_out()
        return
    earlier = {
        each["metadata"]["name"]: (2, 2) for each in await world.backend.listed("replicasets", "default")
    }
    await world.roll_out({**earlier, revision: (0, 1)}, complete=False)
    await world.remove_pods()
    await world.pod(revision, cluster_world.terminated(naming.SERVE, 70, TOLD))


def end_state(cluster: cluster_memory.MemoryCluster) -> dict[tuple[str, str, str], Any]:
    """Give everything, but for what no two runs have in common: UIDs, versions and times."""
    state: dict[tuple[str, str, str], Any] = {}
    for key, stored in cluster.objects.items():
        manifest = copy.deepcopy(stored.manifest)
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            manifest["metadata"].pop(field)
        for reference in manifest["metadata"].get("ownerReferences", ()):
            reference.pop("uid")
        for condition in manifest.get("status", {}).get("conditions", ()):
            condition.pop("lastTransitionTime")
        state[key] = manifest
    return state


def lives(cluster: cluster_memory.MemoryCluster) -> collections.Counter[str]:
    """Give how often each object was created and deleted."""
    return collections.Counter(write for write in cluster.writes if not write.startswith("update"))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("story", STORIES)
def test_a_crash_at_any_write_changes_nothing_in_the_end(story: str, after: bool) -> None:
    undisturbed = Crashing(-1, after=after)
    asyncio.run(play(undisturbed, story))
    crashes = 0
    for at in range(1, 100):
        cluster = Crashing(at, after=after)
        asyncio.run(play(cluster, story))
        if cluster._left > 0:
            break  # there is no n-th write any more
        crashes += 1
        assert end_state(cluster) == end_state(undisturbed), f"crash at write {at}"
        assert lives(cluster) == lives(undisturbed), f"crash at write {at}"
    assert crashes >= 5
