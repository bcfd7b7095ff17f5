"""Bad input at the real API server: names, sizes, and resources that another version of the CRD let in.

A resource that today's schema would refuse can be there all the same, because an older or newer CRD was installed when
it was written. The operator says SpecInvalid about it and goes on with the others.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import clusters
from modelyard_operator import cluster, conditions, errors, naming
from modelyard_operator.objects import Kind
from tests.support import (
    cluster_apiserver,
    cluster_process,
    cluster_world,
    crd_admission,
    crd_fields,
    lax_crd,
)

FEWEST = 50
Backend = cluster_apiserver.ApiBackend
Story = Callable[[Backend, cluster.ApiCluster], Awaitable[None]]


@pytest.fixture(scope="module")
def own_kubeconfig() -> Iterator[Path]:
    """An API server of this module's own: the CRD is exchanged on it."""
    found = clusters.up("bad-input-it", control_plane_only=True, bound=True)
    try:
        yield found.kubeconfig
    finally:
        found.down()


def run(kubeconfig: Path, story: Story) -> None:
    async def play() -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, inner):
            await story(backend, inner)

    asyncio.run(play())


def test_every_resource_that_another_crd_let_in_is_stalled_and_none_stops_the_others(
    own_kubeconfig: Path,
) -> None:
    async def story(backend: Backend, inner: cluster.ApiCluster) -> None:
        await lax_crd.install(backend)
        for number, spec in enumerate(lax_crd.SPECS.values()):
            await backend.make_namespace(f"lax-{number}")
            await lax_crd.store(backend, f"lax-{number}", spec)
        await lax_crd.restore(backend)
        for number, sentence in enumerate(lax_crd.SPECS):
            world = cluster_world.World(backend, inner, f"lax-{number}")
            outcome = await lax_crd.visit(world)
            assert isinstance(outcome, errors.Stalled), f"{sentence}: {outcome!r}"
            assert outcome.reason == conditions.SPEC_INVALID, sentence
            assert outcome.message.startswith("spec"), sentence
            if await lax_crd.can_be_told(backend, world.namespace):
                assert (await world.conditions())["Stalled"] == f"True {conditions.SPEC_INVALID}", sentence
                assert await world.message("Stalled") == outcome.message, sentence
            assert await world.child(Kind.SERVICE) is None, sentence
            assert await world.child(Kind.DEPLOYMENT) is None, sentence

    assert len(lax_crd.SPECS) >= FEWEST
    run(own_kubeconfig, story)


def test_the_operator_as_a_process_serves_a_good_one_among_bad_ones(
    own_kubeconfig: Path, tmp_path: Path
) -> None:
    async def story(backend: Backend, inner: cluster.ApiCluster) -> None:
        await lax_crd.install(backend)
        await backend.make_namespace("among")
        for number, spec in enumerate(lax_crd.SPECS.values()):
            await lax_crd.store(backend, "among", spec, f"bad-{number}")
        await lax_crd.restore(backend)
        numbers = range(len(lax_crd.SPECS))
        sayable = sum([await lax_crd.can_be_told(backend, "among", f"bad-{number}") for number in numbers])
        world = cluster_world.World(backend, inner, "among")
        async with cluster_process.started(own_kubeconfig, tmp_path) as operator:
            await operator.until_ready()
            await world.create()

            async def is_served() -> bool:
                return await world.child(Kind.DEPLOYMENT) is not None

            async def are_told() -> bool:
                found = await backend.listed(naming.PLURAL, "among")
                reasons = [
                    each["reason"]
                    for body in found
                    for each in body.get("status", {}).get("conditions", ())
                    if each["type"] == "Stalled"
                ]
                return reasons == [conditions.SPEC_INVALID] * sayable

            async def have_events() -> bool:
                found = await backend.must("GET", "/apis/events.k8s.io/v1/namespaces/among/events")
                told = [each["regarding"]["name"] for each in found["items"] if each["type"] == "Warning"]
                # Also of those whose status no write passes any more; and each once, however often it is visited.
                return sorted(told) == sorted(f"bad-{number}" for number in numbers)

            await cluster_world.wait_until(is_served, "the good one has a Deployment", 60)
            await cluster_world.wait_until(are_told, "the bad ones are told", 60)
            await cluster_world.wait_until(have_events, "each bad one has an Event", 60)
            assert sayable < len(numbers)
            assert operator.process.returncode is None
            assert [line for line in operator.log() if line["level"] == "error"] == []

    run(own_kubeconfig, story)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 64, "metadata.name"),
        ("n" * 253, "metadata.name"),
        ("n" * 254, "metadata.name"),
        ("iris.v2", "must start with a lower-case letter"),
        ("1iris", "must start with a lower-case letter"),
        ("-iris", "metadata.name"),
        ("Iris", "metadata.name"),
        ("ïris", "metadata.name"),
        ("iris\n", "metadata.name"),
        ("../iris", "metadata.name"),
    ],
)
def test_a_name_that_cannot_be_a_services_is_refused(kubeconfig: Path, name: str, words: str) -> None:
    async def story(backend: Backend, _inner: cluster.ApiCluster) -> None:
        body = crd_admission.resource("default", crd_fields.small(), name)
        path = f"/apis/{naming.API_VERSION}/namespaces/default/{naming.PLURAL}?dryRun=All"
        status, answer = await backend.request("POST", path, body)
        assert status == 422
        assert words in answer["message"]

    run(kubeconfig, story)


def many(count: int) -> dict[str, str]:
    return {f"team.example.com/label-{number}": "x" for number in range(count)}


def test_the_longest_name_ten_thousand_labels_and_a_thousand_replicas_are_served(kubeconfig: Path) -> None:
    async def story(backend: Backend, inner: cluster.ApiCluster) -> None:
        await backend.make_namespace("large")
        body = crd_admission.resource("large", crd_fields.small() | {"replicas": 1000}, "iris")
        body["metadata"]["labels"] = many(10_000)
        await backend.create(naming.PLURAL, body)
        world = cluster_world.World(backend, inner, "large")
        await world.converge()
        deployment = await world.deployment()
        assert deployment["spec"]["replicas"] == 1000
        # Labels of the resource are its author's business and go nowhere.
        assert deployment["metadata"]["labels"] == naming.child_labels("iris")
        assert len(json.dumps(await world.status())) < 5000

    run(kubeconfig, story)


def test_the_longest_name_gives_every_child_a_name_that_kubernetes_takes(kubeconfig: Path) -> None:
    async def story(backend: Backend, inner: cluster.ApiCluster) -> None:
        await backend.make_namespace("longest")
        name = "n" * naming.NAME_MAX
        await backend.create(naming.PLURAL, crd_admission.resource("longest", crd_fields.small(), name))
        world = cluster_world.World(backend, inner, "longest")
        for _ in range(2):
            await lax_crd.visit(world, name)
        assert await backend.read("deployments", "longest", name)
        (revision,) = await backend.listed("controllerrevisions", "longest")
        assert len(revision["metadata"]["name"]) <= naming.NAME_MAX

    run(kubeconfig, story)


def test_a_spec_of_a_megabyte_is_refused_with_the_field(kubeconfig: Path) -> None:
    async def story(backend: Backend, _inner: cluster.ApiCluster) -> None:
        large: dict[str, Any] = crd_fields.small() | {
            "service": {"annotations": {"team.example.com/a": "x" * 10**6}}
        }
        verdict = await crd_admission.ask(backend, large)
        assert verdict.status == 422
        assert "spec.service.annotations" in verdict.message
        assert len(verdict.message) < 2000

    run(kubeconfig, story)
