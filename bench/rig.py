"""The cluster that is measured against: a real control plane, and kwok's nodes and pods.

etcd and API server are the devcluster's, with the API server's limits at their defaults. Controller manager and
scheduler are started here, because their client-side limit of 20 requests a second, and not the operator, would decide
how long a thousand pods take; `stock_limits` leaves it. Called by `measures`; everything ends with the block.
"""

import dataclasses
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from bench import processes
from devcluster import clusters, config, controlplane, embedded, records, toolchain
from modelyard_operator import connection
from tests.support import cluster_apiserver, cluster_world

_STAGES = Path(__file__).with_name("stages.yaml")
_NODES = 10
_FAST_LIMITS = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclasses.dataclass(frozen=True)
class Rig:
    """A running cluster.

    Attributes:
        backend: the administrator's hands.
        link: the connection that those use, for watches.
        kubeconfig: the administrator's.
        logs: the folder with the audit log.
        folder: for files of the measurement.
    """

    backend: cluster_apiserver.ApiBackend
    link: connection.Connection
    kubeconfig: Path
    logs: Path
    folder: Path


@asynccontextmanager
async def up(name: str, folder: Path, *, stock_limits: bool = False) -> AsyncIterator[Rig]:
    """Bring the cluster up for as long as the block lasts.

    Raises:
        DevclusterError: it cannot run here; with what to do.
    """
    # Built before the clock runs, and before anything has to be cleaned up.
    programs = toolchain.resolve(["kwok", "kube-controller-manager", "kube-scheduler", "kubectl"])
    cluster = clusters.up(name, control_plane_only=True, bound=True)
    async with AsyncExitStack() as stack:
        stack.callback(cluster.down)
        link = await connection.open_connection({**os.environ, "KUBECONFIG": str(cluster.kubeconfig)})
        stack.push_async_callback(link.close)
        layout = embedded.layout_of(name)
        for command in _commands(layout, programs, folder, stock_limits):
            await stack.enter_async_context(processes.running(Path(command[0]).name, command, folder))
        rig = Rig(cluster_apiserver.ApiBackend(link), link, cluster.kubeconfig, layout.logs, folder)
        await rig.backend.install_crd()
        await _make_nodes(rig)
        yield rig


async def make_namespace(rig: Rig, name: str) -> None:
    """Make a namespace and wait for the service account that its pods need."""
    await rig.backend.must("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    async def has_account() -> bool:
        status, _answer = await rig.backend.request(
            "GET", f"/api/v1/namespaces/{name}/serviceaccounts/default"
        )
        return status == 200

    await cluster_world.wait_until(has_account, f"the service account of namespace {name}", 30)


def _commands(
    layout: config.Layout, programs: dict[str, Path], folder: Path, stock_limits: bool
) -> list[list[str]]:
    record = records.read(layout)
    if record is None:
        raise RuntimeError(f"instance {layout.name} has no record")
    instance = config.Instance(layout, record.options, record.slot, record.network, programs)
    limits = () if stock_limits else _FAST_LIMITS
    scheduler = folder / "scheduler.yaml"
    scheduler.write_text(yaml.safe_dump(_scheduler_configuration(layout, stock_limits)))
    return [
        [str(programs["kube-controller-manager"]), *controlplane.controller_manager(instance), *limits],
        [str(programs["kube-scheduler"]), f"--config={scheduler}", "--secure-port=0"],
        [
            str(programs["kwok"]),
            f"--kubeconfig={layout.kubeconfig}",
            f"--config={_STAGES}",
            "--manage-all-nodes",
            "--node-lease-duration-seconds=40",
        ],
    ]


def _scheduler_configuration(layout: config.Layout, stock_limits: bool) -> dict[str, Any]:
    limits = {} if stock_limits else {"qps": 1000, "burst": 2000}
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(layout.kubeconfig), **limits},
        "leaderElection": {"leaderElect": False},
    }


async def _make_nodes(rig: Rig) -> None:
    room = {"cpu": "4k", "memory": "8Ti", "ephemeral-storage": "100Ti", "pods": "5k"}
    for number in range(_NODES):
        name = f"node-{number}"
        await rig.backend.must("POST", "/api/v1/nodes", {"metadata": {"name": name}})
        patch = {"status": {"capacity": room, "allocatable": room}}
        path = f"/api/v1/nodes/{name}/status"
        await rig.backend.must("PATCH", path, patch, "application/merge-patch+json")

    async def are_open() -> bool:
        nodes: list[dict[str, Any]] = (await rig.backend.must("GET", "/api/v1/nodes"))["items"]
        return all(_is_ready(node) and not node["spec"].get("taints") for node in nodes)

    await cluster_world.wait_until(are_open, "kwok's nodes take pods", 60)


def _is_ready(node: dict[str, Any]) -> bool:
    stated = node["status"].get("conditions", ())
    return '"type": "Ready"' in json.dumps([each for each in stated if each["status"] == "True"])
