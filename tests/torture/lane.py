"""A lane: one namespace, one operator restricted to it, one fault proxy between the two; several run side by side.

`dump` is the end-state oracle: everything in the namespace with what differs from run to run by nature masked.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from modelyard_operator import naming, objects
from modelyard_operator.objects import Kind, Manifest
from tests.support import cluster_apiserver, cluster_process, cluster_world, faultproxy
from tests.support.cluster_supervisor import Supervisor

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ADDRESS = re.compile(r"10\.\d+\.\d+\.\d+")
_POD = re.compile(r"(iris-[0-9a-f]{10})-\d+")
_PLURALS = (naming.PLURAL, *(kind.plural for kind in Kind), "replicasets")
OPERATOR_READY_SECONDS = 60.0  # several start at once on two cores


class Lane:
    """One operator in its namespace, behind its proxy."""

    def __init__(
        self, world: cluster_world.World, proxy: faultproxy.FaultProxy, supervisor: Supervisor
    ) -> None:
        self.world = world
        self.proxy = proxy
        self.supervisor = supervisor
        proxy.kill = self.kill

    async def kill(self) -> None:
        """End the operator at once."""
        self.proxy.process += 1
        await self.supervisor.kill()

    async def until_ready(self) -> None:
        """Wait until the operator watches."""

        async def is_ready() -> bool:
            return (await self.supervisor.operator.get("/readyz"))[0] == 200

        await cluster_world.wait_until(is_ready, "the operator is ready", OPERATOR_READY_SECONDS)

    async def until_quiet(self, seconds: float) -> None:
        """Wait until nothing has been written for so long."""

        async def is_quiet() -> bool:
            last = max((each.seconds for each in self.proxy.records if each.is_effective), default=0.0)
            return self.proxy.now() - last >= seconds

        await cluster_world.wait_until(is_quiet, f"no write for {seconds} s", 30 + seconds)

    async def clear(self) -> None:
        """Remove the ModelDeployment and all that is left of it, and forget what was recorded."""
        world = self.world
        for plural in (naming.PLURAL, "pods", "replicasets", *(kind.plural for kind in Kind)):
            for manifest in await world.backend.listed(plural, world.namespace):
                await world.backend.remove(plural, world.namespace, manifest["metadata"]["name"])
        await cluster_world.wait_until(self.is_empty, "everything is gone")
        self.proxy.plan = None
        self.proxy.records.clear()
        self.proxy.lines.clear()

    async def is_empty(self) -> bool:
        """Say whether nothing of a ModelDeployment is there."""
        return not any([await self.world.backend.listed(each, self.world.namespace) for each in _PLURALS])

    async def collect_garbage(self) -> None:
        """Play the garbage collector: remove children whose owner is gone."""
        world = self.world
        living: set[str] = set()
        for plural in (naming.PLURAL, *(kind.plural for kind in Kind), "replicasets"):
            for manifest in await world.backend.listed(plural, world.namespace):
                owner = objects.controller_of(manifest)
                if owner is None or owner["uid"] in living:
                    living.add(manifest["metadata"]["uid"])
                else:
                    await world.backend.remove(plural, world.namespace, manifest["metadata"]["name"])

    async def dump(self) -> dict[str, Any]:
        """Give everything in the namespace, masked: name -> object."""
        found: dict[str, Any] = {}
        for plural in _PLURALS:
            for manifest in await self.world.backend.listed(plural, self.world.namespace):
                found[f"{plural}/{manifest['metadata']['name']}"] = mask(manifest)
        return found


def mask(manifest: Manifest) -> Manifest:
    """Give an object without what differs between two runs of the same story."""
    metadata = manifest["metadata"]
    text = json.dumps(manifest).replace(metadata["namespace"], "NAMESPACE")
    for pattern, word in ((_UUID, "UID"), (_TIME, "TIME"), (_ADDRESS, "ADDRESS"), (_POD, r"\1-N")):
        text = pattern.sub(word, text)
    masked: Manifest = json.loads(text)
    masked["metadata"].pop("resourceVersion", None)
    entries = masked["metadata"].get("managedFields") or []
    entries.sort(key=lambda each: (each["manager"], each["operation"], each.get("subresource", "")))
    return masked


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Give the paths at which two dumps differ, with both values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted(expected.keys() | found.keys())
        nested = [differences(expected.get(key), found.get(key), f"{where}/{key}") for key in keys]
        return [line for lines in nested for line in lines]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = zip(expected, found, strict=True)
        nested = [differences(a, b, f"{where}[{index}]") for index, (a, b) in enumerate(pairs)]
        return [line for lines in nested for line in lines]
    if expected == found:
        return []
    return [f"{where}: {json.dumps(expected)[:200]} expected, {json.dumps(found)[:200]} found"]


@asynccontextmanager
async def opened(
    kubeconfig: Path, folder: Path, namespace: str, environment: dict[str, str] | None = None
) -> AsyncIterator[Lane]:
    """Give a lane in a new namespace whose operator is ready, with the rights of the chart's role."""
    async with AsyncExitStack() as stack:
        backend, cluster = await stack.enter_async_context(cluster_apiserver.connect(kubeconfig))
        await backend.make_namespace(namespace)
        token = await cluster_process.grant(backend, namespace, everywhere=False)
        proxy = faultproxy.FaultProxy(*cluster_process.server_of(kubeconfig, folder))
        address = await stack.enter_async_context(proxy.serve())
        through = cluster_process.write_kubeconfig(folder / f"{namespace}.kubeconfig", address, None, token)
        env = {"MODELYARD_WATCH_NAMESPACES": namespace, **(environment or {})}
        supervisor = await stack.enter_async_context(Supervisor(through, folder, env).running())
        lane = Lane(cluster_world.World(backend, cluster, namespace), proxy, supervisor)
        await lane.until_ready()
        yield lane


def summary(lines: Iterable[str], most: int = 6) -> str:
    """Give some of many lines as one."""
    shown = list(lines)
    more = f" … and {len(shown) - most} more" if len(shown) > most else ""
    return "; ".join(shown[:most]) + more
