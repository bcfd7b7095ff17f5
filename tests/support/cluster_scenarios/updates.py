"""Scenarios of newer runtime images: who adopts them, when, and what happens when one doesn't work."""

import json
from typing import Any

from modelyard_operator import naming
from tests.support import cluster_world
from tests.support.cluster_scenarios.registry import scenario
from tests.support.cluster_world import World

OLD, NEW, NEWEST = "modelyard/runtime:test", "modelyard/runtime:newer", "modelyard/runtime:newest"
AUTO = {"updatePolicy": "Auto"}
TOLD = json.dumps({"reason": "InternalError", "message": "The library is missing.", "stage": "Loading"})


async def served(world: World, **spec: Any) -> str:
    """Have a model ready with the old image, then offer the new one; give its revision."""
    await world.create(replicas=1, **spec)
    await world.converge()
    await world.roll_out()
    await world.converge()
    world.with_settings(cluster_world.another_image(NEW))
    return await world.template_revision()


async def failed(world: World, before: str) -> str:
    """Let the first pod of the update crash; give the update's revision."""
    update = await world.template_revision()
    assert update != before
    await world.roll_out({before: (1, 1), update: (0, 1)}, late=True)
    await world.pod(update, cluster_world.terminated(naming.SERVE, 70, TOLD))
    return update


@scenario("with Auto a newer image is rolled out as a revision of its own, and nothing is newer then")
async def adopted(world: World) -> None:
    before = await served(world, runtime=AUTO)
    await world.converge()
    update = await world.template_revision()
    assert update != before
    assert await world.image() == NEW
    assert (await world.conditions())["Reconciling"] == "True Observing"
    assert (await world.status())["candidate"]["revision"] == update
    await world.roll_out()
    await world.converge()
    assert (await world.conditions())["Ready"] == "True RolledOut"
    assert (await world.status())["runtime"] == {"image": NEW}
    versions = await world.versions()
    await world.visit()
    assert await world.versions() == versions


@scenario("a newer image is adopted by hand with Auto and back, and Manual restarts nothing")
async def by_hand(world: World) -> None:
    before = await served(world)
    await world.converge()
    assert await world.template_revision() == before
    await world.change(runtime=AUTO)
    await world.converge()
    await world.roll_out()
    await world.converge()
    update = await world.template_revision()
    await world.change(runtime=None)
    world.with_settings(cluster_world.another_image(NEWEST))
    await world.converge()
    assert (await world.template_revision(), await world.image()) == (update, NEW)
    assert (await world.status())["runtime"]["newer"] == NEWEST


@scenario("a model that is not ready or paused is not disturbed by a newer image")
async def not_disturbed(world: World) -> None:
    before = await served(world, runtime=AUTO)
    await world.roll_out({before: (0, 1)})
    await world.converge()
    assert await world.image() == OLD
    await world.roll_out()
    await world.change(paused=True)
    await world.converge()
    assert await world.image() == OLD
    assert "when the model is ready and not paused" in (await world.status())["runtime"]["message"]
    await world.change(paused=False)
    await world.converge()
    assert await world.image() == NEW


@scenario("an update that fails is rolled back, stays so, and the next image is tried")
async def rolled_back(world: World) -> None:
    before = await served(world, runtime=AUTO, rollout={"onFailure": "Rollback"})
    await world.converge()
    await failed(world, before)
    await world.converge()
    assert (await world.template_revision(), await world.image()) == (before, OLD)
    assert (await world.conditions())["Stalled"] == "True RolledBack"
    assert (await world.status())["runtime"]["image"] == OLD
    await world.roll_out()
    await world.remove_pods()
    await world.converge()
    assert await world.image() == OLD
    world.with_settings(cluster_world.another_image(NEWEST))
    await world.converge()
    assert await world.image() == NEWEST
    await world.roll_out()
    await world.converge()
    assert (await world.conditions())["Ready"] == "True RolledOut"


@scenario("an update that fails is held like any other, and Rollback goes back to the old image")
async def held(world: World) -> None:
    before = await served(world, runtime=AUTO)
    await world.converge()
    update = await failed(world, before)
    await world.converge()
    assert await world.template_revision() == update
    assert (await world.conditions())["Stalled"] == "True InternalError"
    await world.change(rollout={"onFailure": "Rollback"})
    await world.converge()
    assert (await world.template_revision(), await world.image()) == (before, OLD)


@scenario("when the administrator goes back to the old image, its revision is used as it was rendered")
async def way_back(world: World) -> None:
    before = await served(world, runtime=AUTO)
    await world.converge()
    await world.roll_out()
    await world.converge()
    world.with_settings(cluster_world.SETTINGS)
    await world.converge()
    assert (await world.template_revision(), await world.image()) == (before, OLD)
    stored = await world.backend.listed("controllerrevisions", world.namespace)
    assert len(stored) == 2


@scenario(
    "another model on the newer image starts with it, and the first finds its update when asked for again"
)
async def other_model(world: World) -> None:
    await served(world, runtime=AUTO)
    await world.converge()
    await world.roll_out()
    await world.converge()
    update = await world.template_revision()
    await world.change(model={"uri": "s3://models/iris/second.joblib"})
    await world.converge()
    assert await world.image() == NEW
    await world.roll_out()
    await world.converge()
    await world.change(model=cluster_world.MODEL)
    await world.converge()
    assert await world.template_revision() == update


@scenario("a runtime class that is no longer offered leaves alone what runs")
async def withdrawn(world: World) -> None:
    before = await served(world, runtime=AUTO)
    world.with_settings(cluster_world.another_class("other", NEW))
    versions = await world.child_versions()
    await world.converge()
    assert await world.child_versions() == versions
    assert await world.template_revision() == before
