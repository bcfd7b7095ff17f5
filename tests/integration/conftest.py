"""One real control plane (etcd and API server, no node) for all integration tests of a session."""

import asyncio
import itertools
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from devcluster import clusters
from modelyard_operator import store
from tests.support import cluster_apiserver, cluster_world

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


async def _install(kubeconfig: Path) -> None:
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.install_crd()


class Run(Protocol):
    """Runs a story with a world of its own, whose operator has a memory or reads everything live."""

    def __call__(
        self, story: Callable[[cluster_world.World], Coroutine[Any, Any, None]], remembers: bool = False
    ) -> None: ...


@pytest.fixture
def in_world(kubeconfig: Path) -> Run:
    """Run a coroutine with a world in a namespace of its own on the real API server."""

    async def play(
        story: Callable[[cluster_world.World], Coroutine[Any, Any, None]], remembers: bool
    ) -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, cluster):
            namespace = f"test-{next(_namespaces)}"
            await backend.make_namespace(namespace)
            memory = store.Store() if remembers else None
            await story(cluster_world.World(backend, cluster, namespace, memory=memory))

    def run(
        story: Callable[[cluster_world.World], Coroutine[Any, Any, None]], remembers: bool = False
    ) -> None:
        asyncio.run(play(story, remembers))

    return run
