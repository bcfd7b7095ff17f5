"""Scenarios of children whose ModelDeployment was deleted and which stayed, and of what looks like one."""

import copy
from typing import Any

from modelyard_operator import errors, naming, plan
from modelyard_operator.objects import Kind, Manifest
from tests.support import cluster_world
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World

SECOND = {"uri": "s3://models/iris/second.joblib"}


async def orphaned(world: World, **spec: Any) -> Manifest:
    """Have a model ready and orphan its children; give its Deployment."""
    await world.create(**spec)
    await world.converge()
    await world.roll_out()
    await world.converge()
    await world.orphan()
    assert await world.visit() is None
    return await world.deployment()


async def are_all_owned(world: World) -> bool:
    """Says whether every child has the present resource as its controller."""
    resource = await world.backend.read(naming.PLURAL, world.namespace, "iris")
    assert resource is not None
    children = [each for kind in Kind for each in await world.backend.listed(kind.plural, world.namespace)]
    owners = [
        reference["uid"] for each in children for reference in each["metadata"].get("ownerReferences", ())
    ]
    return len(children) >= 3 and owners == [resource["metadata"]["uid"]] * len(children)


@scenario("children that were orphaned are adopted by the same resource, and no pod restarts")
async def adopted(world: World) -> None:
    before = await orphaned(world, replicas=2)
    await world.create(replicas=2)
    await world.converge()
    deployment = await world.deployment()
    assert deployment["metadata"]["generation"] == before["metadata"]["generation"]
    assert await are_all_owned(world)
    assert await world.conditions() == {"Available": "True PodsReady", "Ready": "True RolledOut"}
    versions = await world.versions()
    await world.visit()
    assert await world.versions() == versions


@scenario("orphans are adopted without a restart by a later operator with another image, too")
async def adopted_after_upgrade(world: World) -> None:
    before = await orphaned(world, replicas=1)
    world.with_settings(cluster_world.another_image("modelyard/runtime:newer"))
    await world.create(replicas=1)
    await world.converge()
    assert (await world.deployment())["metadata"]["generation"] == before["metadata"]["generation"]
    assert await are_all_owned(world)


@scenario(
    "orphans with another number of replicas or an autoscaler that is not wanted any more are brought in line"
)
async def adopted_and_changed(world: World) -> None:
    await orphaned(world, autoscaling={"minReplicas": 2, "maxReplicas": 4})
    await world.create(replicas=1)
    await world.converge()
    assert (await world.deployment())["spec"]["replicas"] == 1
    assert await world.child(Kind.AUTOSCALER) is None
    assert await are_all_owned(world)


@scenario("a new model on orphaned children is a rollout like any other, and can be rolled back")
async def adopted_and_updated(world: World) -> None:
    await orphaned(world, replicas=1)
    first = await world.template_revision()
    await world.create(replicas=1, model=SECOND, rollout={"onFailure": "Rollback"})
    await world.converge()
    second = await world.template_revision()
    assert second != first
    await world.roll_out({first: (1, 1), second: (0, 1)}, late=True)
    await world.converge()
    assert await world.template_revision() == first
    assert (await world.conditions())["Stalled"] == "True RolledBack"


@scenario("what only has our labels, or only our field manager, is somebody else's")
async def half_forged(world: World) -> None:
    labels = naming.child_labels("iris")
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "iris", "namespace": world.namespace, "labels": labels},
        "spec": {"ports": [{"port": 80, "protocol": "TCP"}], "selector": {"app": "other"}},
    }
    await world.backend.create("services", foreign, manager=naming.MANAGER)  # not by an apply
    await world.create()
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True NameTaken"
    await world.remove(Kind.SERVICE)
    unlabelled = copy.deepcopy(foreign)
    unlabelled["metadata"] = {"name": "iris", "namespace": world.namespace}
    await world.cluster.apply(plan.Apply(unlabelled))
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True NameTaken"
    assert await world.child(Kind.DEPLOYMENT) is None


async def forge(world: World, template: Manifest) -> None:
    """Put a ControllerRevision of somebody's making in place of the orphaned one, with all of its marks."""
    (real,) = await world.backend.listed("controllerrevisions", world.namespace)
    await world.backend.remove("controllerrevisions", world.namespace, real["metadata"]["name"])
    metadata = {key: real["metadata"][key] for key in ("name", "namespace", "labels")}
    data = {"intent": real["data"]["intent"], "template": template}
    forged = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data,
        "revision": 1,
    }
    await world.cluster.apply(plan.Apply(forged))


@scenario("an orphaned revision with another template than ours is never run")
async def smuggled(world: World) -> None:
    before = await orphaned(world, replicas=1)
    (real,) = await world.backend.listed("controllerrevisions", world.namespace)
    other_image = copy.deepcopy(real["data"]["template"])
    other_image["spec"]["containers"][0]["image"] = "evil:1"
    no_limits = copy.deepcopy(real["data"]["template"])
    del no_limits["spec"]["securityContext"]
    await world.create(replicas=1)
    for template in (other_image, no_limits):
        await forge(world, template)
        outcome = await world.visit()
        assert isinstance(outcome, errors.Stalled)
        assert (await world.conditions())["Stalled"] == "True NameTaken"
        assert "ControllerRevision" in await world.message("Stalled")
    assert (await world.deployment())["spec"]["template"] == before["spec"]["template"]
    await world.remove(Kind.DEPLOYMENT)
    await world.visit()
    assert await world.child(Kind.DEPLOYMENT) is None
    await forge(world, real["data"]["template"])  # the very one that we would render
    await world.converge()
    assert await are_all_owned(world)


@scenario(
    "a revision of our own that somebody has filled with something else is refused, and made anew once deleted"
)
async def unreadable(world: World) -> None:
    await world.create(replicas=1)
    await world.converge()
    await world.roll_out()
    await world.converge()
    (real,) = await world.backend.listed("controllerrevisions", world.namespace)
    before = await world.deployment()
    await world.backend.remove("controllerrevisions", world.namespace, real["metadata"]["name"])
    kept = ("name", "namespace", "labels", "ownerReferences")
    forged = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {key: real["metadata"][key] for key in kept},
        "data": {"intent": {"model": {}}, "template": {"spec": {"containers": "none"}}},
        "revision": 7,
    }
    await world.backend.create("controllerrevisions", forged)
    await world.visit()
    assert (await world.conditions())["Stalled"] == "True NameTaken"
    assert "Delete it" in await world.message("Stalled")
    assert await world.deployment() == before
    await world.backend.remove("controllerrevisions", world.namespace, real["metadata"]["name"])
    await world.converge()
    assert (await world.conditions())["Ready"] == "True RolledOut"
