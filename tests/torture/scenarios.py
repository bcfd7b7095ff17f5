"""The stories of the crash campaign: what was before, what the user does, and what Kubernetes' controllers answer.

`settled` plays the Deployment controller until the ModelDeployment has come to rest; it looks only at the state of the
world, so that it gives the same end however often the operator died on the way.
"""

import json
from collections.abc import Awaitable, Callable

import msgspec

from modelyard_operator import naming
from tests.support import cluster_world
from tests.support.cluster_world import MODEL, World

SECOND = {**MODEL, "uri": "s3://models/iris/second.joblib"}
BROKEN = {**MODEL, "uri": "s3://models/iris/broken.joblib"}
_TOLD = json.dumps({"reason": "LoadFailed", "message": "broken.joblib is no pickle.", "stage": "Loading"})
SETTLED_SECONDS = 45.0
Step = Callable[[World], Awaitable[None]]


class Scenario(msgspec.Struct, frozen=True):
    """One story.

    Attributes:
        name: one word or two.
        act: what the user does; the operator dies at one of the writes that answer it.
        prepare: what was before; None for nothing at all.
        removes: the resource is deleted while the operator is dead.
    """

    name: str
    act: Step
    prepare: Step | None = None
    removes: bool = False


async def _create(world: World) -> None:
    await world.create(replicas=2)


async def _create_scaled_by_autoscaler(world: World) -> None:
    await world.create(autoscaling={"minReplicas": 3, "maxReplicas": 9})
    await settled(world)
    await world.scale_as_autoscaler(7)


async def _update(world: World) -> None:
    await world.change(model=SECOND)


async def _scale(world: World) -> None:
    await world.change(replicas=4)


async def _to_autoscaler(world: World) -> None:
    await world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 9})


async def _from_autoscaler(world: World) -> None:
    await world.change(autoscaling=None, replicas=5)


async def _create_that_goes_back(world: World) -> None:
    await world.create(replicas=2, rollout={"onFailure": "Rollback"})


async def _break(world: World) -> None:
    await world.change(model=BROKEN)


async def _to_one(world: World) -> None:
    await world.change(replicas=1, service={"port": 8000})


async def _load(world: World) -> None:
    """Have two pods fetch different bytes; the first has loaded them, so the other is stopped."""
    revision = await world.template_revision()
    for letter in "ab":  # names that are the same in every run
        await world.pod(revision, cluster_world.fetched("sha256:" + letter * 64), f"{revision}-{letter}")


SCENARIOS: dict[str, Scenario] = {
    each.name: each
    for each in (
        Scenario("create", _create),
        Scenario("update", _update, _create),
        Scenario("scale", _scale, _create),
        Scenario("scale to one", _to_one, _create),
        Scenario("to autoscaler", _to_autoscaler, _create),
        Scenario("from autoscaler", _from_autoscaler, _create_scaled_by_autoscaler),
        Scenario("rollback", _break, _create_that_goes_back),
        Scenario("lock", _load, _create),
        Scenario("delete", _update, _create, removes=True),
    )
}


async def settled(world: World) -> None:
    """Play the Deployment controller until the resource has come to rest with its present spec."""
    await cluster_world.wait_until(lambda: advance(world), "at rest with the present spec", SETTLED_SECONDS)


async def advance(world: World) -> bool:
    """Do the Deployment controller's next step, if there is one; say whether the resource has come to rest."""
    resource = await world.backend.read("modeldeployments", world.namespace, "iris")
    assert resource is not None, "there is no ModelDeployment"
    status = resource.get("status", {})
    if status.get("observedGeneration") != resource["metadata"]["generation"]:
        return False  # the children are on their way
    deployment = await world.backend.read("deployments", world.namespace, "iris")
    if deployment is None:
        return False
    played = deployment.get("status", {})
    is_played = played.get("observedGeneration") == deployment["metadata"]["generation"]
    if BROKEN["uri"] in json.dumps(deployment["spec"]["template"]):
        if not is_played:
            await _fail(world)
        return False  # the operator has to go back
    if not is_played or played.get("replicas", 0) != deployment["spec"]["replicas"]:
        for pod in await world.backend.listed("pods", world.namespace):
            await world.backend.remove("pods", world.namespace, pod["metadata"]["name"])
        await world.roll_out()
        return False
    if len(await world.backend.listed("pods", world.namespace)) > 1:
        return False  # the operator has to stop the one with other bytes
    conditions = await world.conditions()
    return conditions.get("Ready", "").startswith("True ") or conditions.get("Stalled") == "True RolledBack"


async def _fail(world: World) -> None:
    """Let the first pod of a new revision end, as its runtime says why, while the old ones serve on."""
    broken = await world.template_revision()
    replicas = (await world.deployment())["spec"]["replicas"]
    others = [each["metadata"]["name"] for each in await world.backend.listed("replicasets", world.namespace)]
    pods = {name: (replicas, replicas) for name in others if name != broken}
    await world.roll_out({**pods, broken: (0, 1)}, complete=False)
    if not await world.backend.listed("pods", world.namespace):
        await world.pod(broken, cluster_world.terminated(naming.SERVE, 70, _TOLD))
