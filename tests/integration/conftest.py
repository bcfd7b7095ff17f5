"""One real control plane (etcd and API server, no node) for all integration tests of a session."""

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from devcluster import clusters
from modelyard_operator import naming, store
from tests.support import cluster_apiserver, cluster_process, cluster_world

_namespaces = itertools.count(1)


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[Path]:
    """The administrator's kubeconfig of an API server that has the CRD."""
    control_plane = clusters.up(f"it-{os.getpid()}", control_plane_only=True, bound=True)
    try:
        asyncio.run(_install(control_plane.kubeconfig))
        yield control_plane.kubeconfig
    finally:
        control_plane.down()


@pytest.fixture(scope="session")
def operators_kubeconfig(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kubeconfig of a service account that has the chart's rights in all namespaces, and no others."""
    folder = tmp_path_factory.mktemp("rights")
    token = asyncio.run(_grant(kubeconfig))
    return cluster_process.write_kubeconfig(
        folder / "kubeconfig", *cluster_process.server_of(kubeconfig, folder), token
    )


async def _grant(kubeconfig: Path) -> str:
    namespace = "operators-rights"
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.make_namespace(namespace)
        token = await cluster_process.grant(backend, namespace, everywhere=True)
        user = f"system:serviceaccount:{namespace}:operator-{namespace}"

        async def is_known() -> bool:
            path = f"/apis/{naming.API_VERSION}/{naming.PLURAL}"
            return (await backend.request("GET", path, as_user=user))[0] == 200

        await cluster_world.wait_until(is_known, "the API server knows the operator's rights")
        return token


async def _install(kubeconfig: Path) -> None:
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.install_crd()


class Run(Protocol):
    """Runs a story with a world of its own, whose operator has a memory or reads everything live."""

    def __call__(
        self, story: Callable[[cluster_world.World], Coroutine[Any, Any, None]], remembers: bool = False
    ) -> None: ...


@pytest.fixture
def in_world(kubeconfig: Path, operators_kubeconfig: Path) -> Run:
    """Run a coroutine with a world in a namespace of its own on the real API server.

    The operator has the chart's rights there: whatever a scenario needs and they lack ends it with 403.
    """

    async def play(
        story: Callable[[cluster_world.World], Coroutine[Any, Any, None]], remembers: bool
    ) -> None:
        async with (
            cluster_apiserver.connect(kubeconfig) as (backend, _administrators),
            cluster_apiserver.connect(operators_kubeconfig) as (_operators, cluster),
        ):
            namespace = f"test-{next(_namespaces)}"
            await backend.make_namespace(namespace)
            memory = store.Store() if remembers else None
            await story(cluster_world.World(backend, cluster, namespace, memory=memory))

    def run(
        story: Callable[[cluster_world.World], Coroutine[Any, Any, None]], remembers: bool = False
    ) -> None:
        asyncio.run(play(story, remembers))

    return run
