"""Leadership on a real API server: what the fake Lease does is what the real one does, and two processes take turns."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from modelyard_operator import cluster, errors, fence, leadership, lease, metrics
from tests.support import cluster_apiserver, cluster_world, leases

NAME = "modelyard-operator"
Story = Callable[[leadership.Leases], Awaitable[None]]


def stamp() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def writes_and_refusals(server: leadership.Leases, namespace: str) -> list[str]:
    """Tell what a server does with new, current and old versions of a Lease."""
    found = []

    async def attempt(words: str, write: Awaitable[object]) -> None:
        try:
            await write
            found.append(f"{words}: done")
        except errors.ClusterError as error:
            found.append(f"{words}: {error.status}")

    assert await server.get_lease(namespace, NAME) is None
    new = lease.restored(namespace, NAME)
    await attempt("create", server.write_lease(new))
    await attempt("create again", server.write_lease(new))
    first = await server.get_lease(namespace, NAME)
    assert first is not None
    await attempt("take", server.write_lease(lease.taken(first, "a", stamp())))
    await attempt("take the old version", server.write_lease(lease.taken(first, "b", stamp())))
    second = await server.get_lease(namespace, NAME)
    assert second is not None
    found.append(f"holder {second['spec']['holderIdentity']}")
    back = lease.given_back(second, "a", stamp())
    assert back is not None
    await attempt("give back", server.write_lease(back))
    third = await server.get_lease(namespace, NAME)
    seen = lease.observe(lease.observe(None, second, 0.0), third, 1.0)
    decision = lease.decide(seen, "b", is_leading=False, now=1.0)
    found.append(type(decision).__name__)
    return found


EXPECTED = [
    "create: done",
    "create again: 409",
    "take: done",
    "take the old version: 409",
    "holder a",
    "give back: done",
    "Acquire",
]


def test_the_lease_in_memory_does_what_this_expects() -> None:
    assert asyncio.run(writes_and_refusals(leases.Leases(), "default")) == EXPECTED


def test_a_real_lease_does_the_same(kubeconfig: Path) -> None:
    async def story() -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, server):
            await backend.make_namespace("lease-rules")
            assert await writes_and_refusals(server, "lease-rules") == EXPECTED
            path = f"/apis/coordination.k8s.io/v1/namespaces/lease-rules/leases/{NAME}"
            gone = await server.get_lease("lease-rules", NAME)
            assert gone is not None
            await backend.must("DELETE", path)
            with pytest.raises(errors.ClusterError) as refused:
                await server.write_lease(gone)
            assert refused.value.status in (404, 409)
            assert await server.get_lease("lease-rules", NAME) is None

    asyncio.run(story())


def test_a_closed_fence_holds_back_every_write_but_the_lease(kubeconfig: Path) -> None:
    async def story() -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, server):
            await backend.make_namespace("lease-fence")
            fenced = cluster.ApiCluster(server._link, metrics.Metrics(), fence.Fence())
            world = cluster_world.World(backend, fenced, "lease-fence")
            await world.create()
            with pytest.raises(errors.NotLeading):
                await world.reconciler.reconcile((world.namespace, "iris"))
            assert await backend.listed("deployments", "lease-fence") == []
            await fenced.write_lease(lease.restored("lease-fence", NAME))

    asyncio.run(story())
