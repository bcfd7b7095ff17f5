"""`sight` and `reconciler`: what a visit costs, and that no write to a child rests on a memory that is behind."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from modelyard_operator import errors, naming, plan, revisions, store
from modelyard_operator.api import parse
from modelyard_operator.objects import Kind, Manifest
from tests.support import cluster_counting, cluster_world

Story = Callable[[cluster_world.World, cluster_counting.Counting], Coroutine[Any, Any, None]]


def play(story: Story) -> None:
    api = cluster_counting.Counting()
    asyncio.run(story(cluster_world.World(api, api, memory=store.Store()), api))


async def calls_of_a_visit(
    world: cluster_world.World, api: cluster_counting.Counting, *, remembering: bool = True
) -> list[str]:
    """Let the operator visit; give what it asked for. Without remembering, its memory stays as it was."""
    api.calls = []
    if remembering:
        await world.visit()
    else:
        with contextlib.suppress(errors.Waiting, errors.Stalled):
            await world.reconciler.reconcile((world.namespace, "iris"))
    return api.calls


def test_what_is_converged_costs_no_call() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.roll_out()
        await world.converge()
        assert await calls_of_a_visit(world, api) == []

    play(story)


def test_a_rollout_under_way_costs_its_status_and_no_reading() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.roll_out({await world.template_revision(): (1, 2)}, complete=False)
        assert await calls_of_a_visit(world, api) == ["write the status"]
        assert await calls_of_a_visit(world, api) == []

    play(story)


def test_a_new_resource_costs_a_read_and_a_write_for_each_child() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=1)
        assert await calls_of_a_visit(world, api) == [
            "read the resource",
            "read Service",
            "read Deployment",
            "create ControllerRevision",
            "create Service",
            "create Deployment",
            "write the status",
        ]
        # Its own writes are remembered before any watch has told of them, and there is nothing more to say.
        assert await calls_of_a_visit(world, api, remembering=False) == []

    play(story)


def test_when_the_name_of_a_revision_is_taken_nothing_is_half_made() -> None:
    """A revision isn't looked for before it is created: the API server refuses, and nothing comes before it."""

    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=1)
        resource = await world.backend.read(naming.PLURAL, world.namespace, "iris")
        assert resource is not None
        name = revisions.name(parse(resource))
        foreign = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {"name": name, "namespace": world.namespace},
            "revision": 1,
        }
        await world.backend.create("controllerrevisions", foreign)
        calls = await calls_of_a_visit(world, api)
        assert [call for call in calls if call.startswith("create")] == ["create ControllerRevision"]
        assert (await world.conditions())["Stalled"] == "True NameTaken"
        assert await world.child(Kind.SERVICE) is None

    play(story)


def test_drift_costs_a_read_of_the_resource_and_one_write() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.edit(Kind.DEPLOYMENT, {"spec": {"replicas": 9}})
        calls = await calls_of_a_visit(world, api)
        assert calls[:2] == ["read the resource", "apply Deployment"]

    play(story)


def test_pods_are_restarted_only_by_a_record_that_was_read_live() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=1)
        await world.converge()
        await world.edit(Kind.DEPLOYMENT, {"spec": {"template": {"spec": {"enableServiceLinks": True}}}})
        wanted = ["read the resource", "read everything", "list pods", "apply Deployment"]
        assert (await calls_of_a_visit(world, api))[:4] == wanted

    play(story)


def test_what_the_last_visit_saw_is_looked_for_once_when_memory_loses_it() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.change(replicas=1)
        await world.remove(Kind.DISRUPTION_BUDGET)
        assert "read PodDisruptionBudget" in await calls_of_a_visit(world, api)
        world.reconciler.doubt((world.namespace, "iris"))
        found = await calls_of_a_visit(world, api)
        assert found[:2] == ["read HorizontalPodAutoscaler", "read PodDisruptionBudget"]

    play(story)


def test_a_delete_is_decided_on_live_reads() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.change(replicas=1)
        calls = await calls_of_a_visit(world, api)
        assert calls[:2] == ["read the resource", "read everything"]
        assert "delete PodDisruptionBudget" in calls

    play(story)


async def _scale_live(world: cluster_world.World) -> None:
    await world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 9})


async def _delete_resource(world: cluster_world.World) -> None:
    await world.backend.remove(naming.PLURAL, world.namespace, "iris")


async def _recreate_resource(world: cluster_world.World) -> None:
    await _delete_resource(world)
    await world.create(replicas=2)


BEHIND: dict[str, Callable[[cluster_world.World], Awaitable[Any]]] = {
    "the resource has gone": _delete_resource,
    "the resource has got a successor": _recreate_resource,
    "the resource wants something else": _scale_live,
    "the Deployment has been repaired by somebody": lambda world: world.edit(
        Kind.DEPLOYMENT, {"spec": {"replicas": 2}, "metadata": {"labels": {"theirs": "too"}}}
    ),
    "the Deployment has gone": lambda world: world.remove(Kind.DEPLOYMENT),
}


@pytest.mark.parametrize("change", BEHIND.values(), ids=BEHIND)
def test_what_memory_has_not_seen_yet_is_never_trampled_on(
    change: Callable[[cluster_world.World], Awaitable[Any]],
) -> None:
    """Memory believes in drift that is to be repaired; the world has gone on, and what it is now counts."""

    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.edit(Kind.DEPLOYMENT, {"spec": {"replicas": 9}})
        assert world.memory is not None
        await world.remember(world.memory)
        await change(world)
        before = await world.versions()
        resource = await world.backend.read(naming.PLURAL, world.namespace, "iris")
        deployment = await world.child(Kind.DEPLOYMENT)
        await calls_of_a_visit(world, api, remembering=False)
        if resource is None:
            assert await world.versions() == before
            return
        after = await world.child(Kind.DEPLOYMENT)
        assert after is not None
        owner = after["metadata"]["ownerReferences"][0]["uid"]
        if deployment is not None and owner != resource["metadata"]["uid"]:
            assert after == deployment  # the predecessor's: waited for
            return
        if resource["spec"].get("autoscaling"):
            assert after["spec"]["replicas"] == 9  # not ours to say any more
        else:
            assert after["spec"]["replicas"] == 2

    play(story)


def test_a_version_that_memory_has_wrong_makes_the_visit_live() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        await world.create(replicas=2)
        await world.converge()
        await world.edit(Kind.DEPLOYMENT, {"spec": {"replicas": 9}})
        assert world.memory is not None
        await world.remember(world.memory)
        await world.edit(Kind.DEPLOYMENT, {"metadata": {"labels": {"theirs": "too"}}})
        calls = await calls_of_a_visit(world, api, remembering=False)
        assert calls[:5] == [
            "read the resource",
            "apply Deployment",
            "read the resource",
            "read everything",
            "list pods",
        ]
        assert "apply Deployment" in calls[5:]
        deployment = await world.deployment()
        assert deployment["metadata"]["labels"]["theirs"] == "too"
        assert deployment["spec"]["replicas"] == 2

    play(story)


def test_a_name_that_is_taken_between_the_read_and_the_write_is_not_taken_over() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        foreign = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "iris", "namespace": world.namespace},
            "spec": {"ports": [{"port": 5432, "protocol": "TCP"}], "selector": {"app": "database"}},
        }
        await world.create(replicas=1)
        apply = api.apply

        async def slow_apply(action: plan.Apply) -> Manifest:
            if action.manifest["kind"] == "Service" and await world.child(Kind.SERVICE) is None:
                await world.backend.create("services", foreign)
            return await apply(action)

        api.apply = slow_apply  # type: ignore[method-assign]
        await world.visit()
        service = await world.child(Kind.SERVICE)
        assert service is not None
        assert service["spec"] == foreign["spec"]
        assert (await world.conditions())["Stalled"] == "True NameTaken"

    play(story)


def test_a_resource_that_memory_does_not_know_is_not_asked_for() -> None:
    async def story(world: cluster_world.World, api: cluster_counting.Counting) -> None:
        assert await calls_of_a_visit(world, api) == []

    play(story)
