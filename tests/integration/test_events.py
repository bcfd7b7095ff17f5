"""Events on a real API server: it takes what is built, and a crash between Event and status tells nothing twice."""

import itertools
from typing import Any

import pytest

from modelyard_operator import api, cluster, errors, events, metrics, naming, reconciler, recorder
from tests.integration import conftest
from tests.support import cluster_apiserver, cluster_world

PATH = "/apis/events.k8s.io/v1/namespaces"


def recorded_by(world: cluster_world.World) -> metrics.Metrics:
    """Let the world's operator tell what it finds; give its numbers."""
    numbers = metrics.Metrics()
    assert isinstance(world.cluster, cluster.ApiCluster)
    clock = itertools.count()

    def stamp() -> str:
        return f"2026-02-01T00:00:00.{next(clock):06d}Z"

    teller = recorder.Recorder(world.cluster.create_event, numbers, "pod-1", stamp)
    world.reconciler = reconciler.Reconciler(
        world.cluster, cluster_world.SETTINGS, world._now, recorder=teller
    )
    return numbers


async def told(world: cluster_world.World) -> list[dict[str, Any]]:
    """Give the Events about the resource in the order in which they were told."""
    assert isinstance(world.backend, cluster_apiserver.ApiBackend)
    found = await world.backend.must("GET", f"{PATH}/{world.namespace}/events")
    return sorted(found["items"], key=lambda event: str(event["eventTime"]))


def test_a_life_is_told_in_the_resources_own_events(in_world: conftest.Run) -> None:
    async def story(world: cluster_world.World) -> None:
        numbers = recorded_by(world)
        await world.create(replicas=2)
        await world.converge()
        wanted = (await world.deployment())["spec"]["template"]["metadata"]["labels"][naming.LABEL_REVISION]
        await world.roll_out({wanted: (0, 2)}, complete=False)
        await world.converge()
        await world.roll_out({wanted: (1, 2)}, complete=False)
        await world.converge()
        await world.roll_out()
        await world.converge()
        found = await told(world)
        assert [event["reason"] for event in found] == ["RollingOut", "PodsReady", "RolledOut"]
        resource = await world.backend.read(naming.PLURAL, world.namespace, "iris")
        assert resource is not None
        for event in found:
            assert event["regarding"]["uid"] == resource["metadata"]["uid"]
            assert event["reportingController"] == events.CONTROLLER
        assert numbers.registry.get_sample_value("modelyard_operator_event_errors_total") == 0

    in_world(story)


def test_a_crash_between_event_and_status_tells_nothing_twice(in_world: conftest.Run) -> None:
    async def story(world: cluster_world.World) -> None:
        numbers = recorded_by(world)
        await world.create(service={"annotations": {"not.allowed/x": "y"}})
        apply_status, attempts = world.cluster.apply_status, itertools.count()

        async def fail_once(manifest: dict[str, Any]) -> dict[str, Any] | None:
            if next(attempts) < 2:
                raise errors.ClusterError("apply status", 0, "the operator died")
            return await apply_status(manifest)

        world.cluster.apply_status = fail_once  # type: ignore[method-assign]
        for _ in range(2):
            with pytest.raises(errors.ClusterError, match="the operator died"):
                await world.reconciler.reconcile((world.namespace, "iris"))
        await world.visit()
        assert next(attempts) >= 3
        assert [event["reason"] for event in await told(world)] == ["MetadataNotAllowed"]
        assert numbers.registry.get_sample_value("modelyard_operator_event_errors_total") == 0

    in_world(story)


def test_the_longest_names_and_notes_are_taken(in_world: conftest.Run) -> None:
    async def story(world: cluster_world.World) -> None:
        assert isinstance(world.cluster, cluster.ApiCluster)
        identity = api.Identity(
            namespace=world.namespace, name="a" * 253, uid="u", generation=1, is_deleting=False
        )
        longest = events.Event("a" * 253, "Warning", "CrashLoop", events.SERVE, "é" * (events.NOTE_MAX // 2))
        manifest = events.build(identity, longest, "2026-02-01T00:00:00.000000Z", "h" * 300)
        await world.cluster.create_event(manifest)
        with pytest.raises(errors.ClusterError) as refused:
            await world.cluster.create_event(manifest)
        assert refused.value.status == 409
        manifest["metadata"]["name"], manifest["note"] = "b", longest.note + "!"
        with pytest.raises(errors.ClusterError, match="1024"):
            await world.cluster.create_event(manifest)

    in_world(story)
