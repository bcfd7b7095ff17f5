"""The campaign of a control plane that dies: API server, etcd or the CRD gone for a while, and back again.

Each case changes a spec the moment the API server lets it and damages a child right after; both have to be put
right within a minute, and the operator may end only with its documented code.
"""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

import aiohttp
import msgspec

from devcluster import config, embedded, processes
from modelyard_operator import errors, naming
from modelyard_operator.objects import Kind
from tests.support import cluster_apiserver, cluster_world
from tests.torture import campaign, lane, rig, scenarios, watch

NAME = "restarts"
API_SERVER, ETCD = "kube-apiserver", "etcd"
CRD = "the CRD"
_SHORT = ((API_SERVER, 3.0), (CRD, 3.0))
_LONG = (
    *((API_SERVER, seconds) for seconds in (0.0, 10.0, 60.0, 180.0)),
    *((ETCD, seconds) for seconds in (0.0, 10.0, 60.0)),
    *((CRD, seconds) for seconds in (0.0, 10.0, 180.0)),
)


class Case(msgspec.Struct, frozen=True):
    """One component and how long it is gone."""

    component: str
    seconds: float

    @property
    def name(self) -> str:
        """The case for people and for --case."""
        return f"{self.component} gone for {self.seconds:.0f} s"


def run(order: campaign.Order) -> list[campaign.Row]:
    """Run the campaign on a control plane of its own."""
    chosen = [Case(*each) for each in (_SHORT if order.short else _LONG)]
    chosen = [case for case in chosen if order.case in case.name]
    with rig.control_plane(NAME) as kubeconfig, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_cases(order, chosen, kubeconfig, Path(folder)))


async def _cases(
    order: campaign.Order, chosen: list[Case], kubeconfig: Path, folder: Path
) -> list[campaign.Row]:
    budget, rows = campaign.Budget(order), []
    async with lane.opened(kubeconfig, folder, "restarts-lane") as which:
        for case in chosen:
            if budget.is_spent():
                break
            try:
                problem = await (_crd_case if case.component == CRD else _case)(which, case)
            except AssertionError as error:
                problem = str(error)
            figures = f"({len(which.proxy.records)} requests, exits {which.supervisor.unplanned})"
            print(f"  {'FAILED' if problem else 'ok'} {case.name}: {problem} {figures}", flush=True)
            again = campaign.replay(NAME, order, case.name)
            rows.append(campaign.Row(case.name, not problem, f"{problem} {figures}".strip(), again))
    return rows


async def _case(which: lane.Lane, case: Case) -> str:
    world = which.world
    await which.clear()
    which.supervisor.exits.clear()
    await world.create(replicas=2)
    await scenarios.settled(world)
    layout = embedded.layout_of(rig.instance_name(NAME))
    command = _kill(layout, case.component)
    await asyncio.sleep(case.seconds)  # what is tested is an absence of this length
    processes.start(layout, case.component, command)
    await cluster_world.wait_until(lambda: _answers(world), "a user can change the spec again", 60)
    await cluster_world.wait_until(
        lambda: _has(world, 3), "the change is answered", watch.HEARS_WITHIN_SECONDS
    )
    await world.edit(Kind.DEPLOYMENT, {"spec": {"replicas": 9}})
    await cluster_world.wait_until(
        lambda: _has(world, 3), "the drift is repaired", watch.HEARS_WITHIN_SECONDS
    )
    await scenarios.settled(world)
    return _unknown_exits(which)


async def _crd_case(which: lane.Lane, case: Case) -> str:
    """Delete the CRD, and all resources with it, and make both again."""
    world, backend = which.world, which.world.backend
    assert isinstance(backend, cluster_apiserver.ApiBackend)
    await which.clear()
    which.supervisor.exits.clear()
    await world.create(replicas=2)
    await scenarios.settled(world)
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{naming.PLURAL}.{naming.GROUP}"
    await backend.must("DELETE", path)

    async def is_gone() -> bool:
        return (await backend.request("GET", path))[0] == 404

    await cluster_world.wait_until(is_gone, "the CRD is gone", 60)
    await asyncio.sleep(case.seconds)  # what is tested is an absence of this length
    await backend.install_crd()
    await which.collect_garbage()
    await world.create(replicas=3)
    await cluster_world.wait_until(
        lambda: _has(world, 3), "the new one is served", watch.HEARS_WITHIN_SECONDS
    )
    await scenarios.settled(world)
    return _unknown_exits(which)


def _unknown_exits(which: lane.Lane) -> str:
    unknown = [code for code in which.supervisor.unplanned if code != 1]
    return f"undocumented exit codes {unknown}" if unknown else ""


def _kill(layout: config.Layout, component: str) -> list[str]:
    """End a component at once and give its command line."""
    (process,) = (each for each in processes.recorded(layout) if each.name == component)
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)  # it is our own child: the campaign has brought the control plane up
    return [word.decode() for word in words[:-1]]


async def _answers(world: cluster_world.World) -> bool:
    """Say whether the API server is ready and lets a user change a spec again."""
    try:
        await world.change(replicas=3)
    except (aiohttp.ClientError, TimeoutError, errors.ClusterError):
        return False
    return True


async def _has(world: cluster_world.World, replicas: int) -> bool:
    found = await world.backend.read("deployments", world.namespace, "iris")
    return found is not None and found["spec"]["replicas"] == replicas
