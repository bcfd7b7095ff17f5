"""The operator under measurement: as its pod runs it, with the chart's rights and the default settings.

Used by `measures`. With a file to profile into, it runs under cProfile, and then its times are no measurements.
"""

import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bench import processes, rig
from tests.support import cluster_process, cluster_world

NAMESPACE = "modelyard-system"
USER = f"system:serviceaccount:{NAMESPACE}:operator-{NAMESPACE}"
_IMAGE = '{"default": {"image": "modelyard/runtime:bench"}}'
_READY_SECONDS = 120.0


class Operator:
    """One operator process."""

    def __init__(self, process: processes.Process, port: int) -> None:
        self.process = process
        self._port = port

    async def is_ready(self) -> bool:
        """Says whether it watches.

        Raises:
            RuntimeError: it has ended; with the end of its log.
        """
        if self.process.has_ended:
            raise RuntimeError(f"the operator ended by itself:\n{self.process.last_lines()}")
        return (await self._get("/readyz"))[0] == 200

    async def visits(self) -> int:
        """Give how many visits it has finished."""
        return int(await self._total("modelyard_operator_reconcile_total"))

    async def is_idle(self) -> bool:
        """Says whether its queue is empty."""
        return await self._total("workqueue_depth") == 0

    async def _total(self, metric: str) -> float:
        _status, text = await self._get("/metrics")
        return sum(float(value) for value in re.findall(rf"^{metric}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    async def _get(self, path: str) -> tuple[int, str]:
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{self._port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""


async def prepare(cluster: rig.Rig) -> Path:
    """Give the operator its namespace and the chart's rights; give the kubeconfig that it uses."""
    await rig.make_namespace(cluster, NAMESPACE)
    token = await cluster_process.grant(cluster.backend, NAMESPACE, everywhere=True)
    await cluster_process.grant_lease(cluster.backend, NAMESPACE)
    server = cluster_process.server_of(cluster.kubeconfig, cluster.folder)
    return cluster_process.write_kubeconfig(cluster.folder / "operator.kubeconfig", *server, token)


@asynccontextmanager
async def started(
    cluster: rig.Rig, kubeconfig: Path, environ: dict[str, str], profile: Path | None = None
) -> AsyncIterator[Operator]:
    """Run an operator for as long as the block lasts, which begins when the process has been started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **environ,
        "KUBECONFIG": str(kubeconfig),
        "MODELYARD_RUNTIME_CLASSES": _IMAGE,
        "MODELYARD_HEALTH_PORT": str(port),
        "MODELYARD_LEADER_ELECTION": "false",
        "MODELYARD_LEASE_NAMESPACE": NAMESPACE,
    }
    wrapped = ["-m", "cProfile", "-o", str(profile)] if profile else []
    command = [sys.executable, *wrapped, "-m", "modelyard_operator"]
    process = await processes.start("operator", command, cluster.folder, env)
    try:
        yield Operator(process, port)
    finally:
        await process.stop()


async def until_ready(operator: Operator) -> None:
    """Wait until it watches."""
    await cluster_world.wait_until(operator.is_ready, "the operator is ready", _READY_SECONDS)
