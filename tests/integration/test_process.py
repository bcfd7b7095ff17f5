"""The operator as a process on a real API server, with the rights of the chart's own role."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard_operator import naming
from modelyard_operator.objects import Kind
from tests.support import cluster_apiserver, cluster_process, cluster_world, faultproxy, faultproxy_faults

Backend = cluster_apiserver.ApiBackend
SHORT = {"MODELYARD_FRESHNESS_INTERVAL_SECONDS": "1", "MODELYARD_FRESHNESS_GRACE_SECONDS": "2"}


def run(
    kubeconfig: Path, story: Callable[[Backend, cluster_world.World], Awaitable[None]], namespace: str
) -> None:
    """Run a story in a namespace of its own; the world's own reconciler stays idle."""

    async def play() -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, cluster):
            await backend.make_namespace(namespace)
            await story(backend, cluster_world.World(backend, cluster, namespace))

    asyncio.run(play())


async def with_the_charts_rights(
    backend: Backend, world: cluster_world.World, kubeconfig: Path, tmp_path: Path, *, everywhere: bool = True
) -> Path:
    """Give the kubeconfig of a service account that may do what the chart allows, in all namespaces or in one."""
    token = await cluster_process.grant(backend, world.namespace, everywhere=everywhere)
    server = cluster_process.server_of(kubeconfig, tmp_path)
    return cluster_process.write_kubeconfig(tmp_path / "kubeconfig", *server, token)


async def is_there(world: cluster_world.World, kind: Kind) -> bool:
    return await world.child(kind) is not None


async def spec_of_deployment(world: cluster_world.World) -> dict[str, Any]:
    spec: dict[str, Any] = (await world.deployment())["spec"]
    return spec


def test_it_serves_with_the_charts_rights_and_leaves_users_objects_alone(
    kubeconfig: Path, tmp_path: Path
) -> None:
    async def story(backend: Backend, world: cluster_world.World) -> None:
        limited = await with_the_charts_rights(backend, world, kubeconfig, tmp_path)
        async with cluster_process.started(limited, tmp_path, **SHORT) as operator:
            await operator.until_ready()
            await world.create(replicas=2)
            await cluster_world.wait_until(lambda: is_there(world, Kind.DISRUPTION_BUDGET), "all children", 5)
            # Drift: a deleted child and a label taken from another are events.
            await world.remove(Kind.SERVICE)
            await world.edit(
                Kind.DEPLOYMENT,
                {"metadata": {"labels": {naming.LABEL_MANAGED_BY: None}}, "spec": {"replicas": 9}},
            )

            async def is_repaired() -> bool:
                return (
                    await is_there(world, Kind.SERVICE) and (await spec_of_deployment(world))["replicas"] == 2
                )

            await cluster_world.wait_until(is_repaired, "drift is repaired", 5)
            await world.change(replicas=None, autoscaling={"maxReplicas": 3})
            await cluster_world.wait_until(lambda: is_there(world, Kind.AUTOSCALER), "the autoscaler", 5)
            await world.change(autoscaling=None, replicas=1)

            async def is_single() -> bool:
                surplus = (Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET)
                are_there = [await is_there(world, kind) for kind in surplus]
                return not any(are_there) and (await spec_of_deployment(world))["replicas"] == 1

            await cluster_world.wait_until(is_single, "autoscaler and budget are gone", 5)
            await world.roll_out()

            async def is_ready() -> bool:
                return (await world.conditions()).get("Ready") == "True RolledOut"

            await cluster_world.wait_until(is_ready, "Ready", 10)
            resource = await backend.read(naming.PLURAL, world.namespace, "iris")
            assert resource is not None
            managers = {entry["manager"] for entry in resource["metadata"]["managedFields"]}
            assert managers == {"kubectl", "kubectl-edit", naming.STATUS_MANAGER}
            assert {"annotations", "finalizers"} & resource["metadata"].keys() == set()
            # A watch that is alive is never called deaf: several looks have passed.
            assert operator.process.returncode is None
            assert (await operator.get("/livez"))[0] == 200
            code, numbers = await operator.get("/metrics")
            assert code == 200
            assert 'modelyard_operator_reconcile_total{result="success"}' in numbers
            assert 'code="403"' not in numbers
            assert [line for line in operator.log() if line["level"] == "error"] == []
            operator.process.send_signal(signal.SIGTERM)
            assert await operator.exit_code() == 0

    run(kubeconfig, story, "process-cluster")


def test_with_rights_in_one_namespace_it_serves_that_namespace(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(backend: Backend, world: cluster_world.World) -> None:
        await backend.make_namespace("process-other")
        elsewhere = cluster_world.World(backend, world.cluster, "process-other")
        await elsewhere.create()
        limited = await with_the_charts_rights(backend, world, kubeconfig, tmp_path, everywhere=False)
        env = {**SHORT, "MODELYARD_WATCH_NAMESPACES": world.namespace}
        async with cluster_process.started(limited, tmp_path, **env) as operator:
            await operator.until_ready()
            await world.create()
            await cluster_world.wait_until(lambda: is_there(world, Kind.DEPLOYMENT), "the Deployment", 5)
            assert not await is_there(elsewhere, Kind.DEPLOYMENT)
            assert 'code="403"' not in (await operator.get("/metrics"))[1]

    run(kubeconfig, story, "process-namespace")


@contextlib.asynccontextmanager
async def behind_a_proxy(
    backend: Backend, kubeconfig: Path, tmp_path: Path, namespace: str
) -> AsyncIterator[tuple[faultproxy.FaultProxy, cluster_process.Operator]]:
    """Start an operator that reaches the API server through a proxy that can fail, and wait until it watches."""
    proxy = faultproxy.FaultProxy(*cluster_process.server_of(kubeconfig, tmp_path))
    token = await cluster_process.grant(backend, namespace, everywhere=True)
    async with proxy.serve() as address:
        through = cluster_process.write_kubeconfig(tmp_path / "kubeconfig", address, None, token)
        async with cluster_process.started(through, tmp_path, **SHORT) as operator:
            await operator.until_ready()
            yield proxy, operator


def test_an_outage_of_the_api_server_is_ridden_through(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(backend: Backend, world: cluster_world.World) -> None:
        async with behind_a_proxy(backend, kubeconfig, tmp_path, world.namespace) as (proxy, operator):
            proxy.disturb([faultproxy.EVERYTHING], faultproxy_faults.TROUBLES["HTTP 503"])

            async def has_noticed() -> bool:
                return any(line["message"] == "freshness can't be told" for line in operator.log())

            await cluster_world.wait_until(has_noticed, "the outage is noticed", 10)
            await world.create()
            proxy.heal()
            await cluster_world.wait_until(lambda: is_there(world, Kind.DEPLOYMENT), "the Deployment", 30)
            assert operator.process.returncode is None

    run(kubeconfig, story, "process-outage")


def test_a_watch_that_goes_mute_ends_the_process(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(backend: Backend, world: cluster_world.World) -> None:
        async with behind_a_proxy(backend, kubeconfig, tmp_path, world.namespace) as (proxy, operator):
            await world.create()
            await cluster_world.wait_until(lambda: is_there(world, Kind.DEPLOYMENT), "the Deployment", 10)
            proxy.disturb([naming.PLURAL], faultproxy_faults.TROUBLES["silence"])
            await world.change(replicas=2)
            assert await operator.exit_code(15) == 1
            assert operator.log()[-1]["message"] == "deaf"

    run(kubeconfig, story, "process-mute")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MODELYARD_RUNTIME_CLASSES": ""}, "MODELYARD_RUNTIME_CLASSES"),
        ({"MODELYARD_WORKERS": "many"}, "write a number from 1 to 100"),
        ({"KUBECONFIG": "nowhere"}, "set KUBECONFIG to a file"),
    ],
)
def test_a_wrong_setting_ends_it_with_one_line(
    kubeconfig: Path, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    async def story() -> int:
        async with cluster_process.started(kubeconfig, tmp_path, **environment) as operator:
            return await operator.exit_code()

    assert asyncio.run(story()) == 78
    (log,) = tmp_path.glob("operator-*.log")
    assert words in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_child_without_our_label_that_nobody_wants_any_more_goes_soon_after_a_restart(
    kubeconfig: Path, tmp_path: Path
) -> None:
    async def story(backend: Backend, world: cluster_world.World) -> None:
        limited = await with_the_charts_rights(backend, world, kubeconfig, tmp_path)
        async with cluster_process.started(limited, tmp_path, **SHORT) as operator:
            await operator.until_ready()
            await world.create(autoscaling={"minReplicas": 2, "maxReplicas": 3})
            surplus = (Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET)
            for kind in surplus:
                await cluster_world.wait_until(lambda kind=kind: is_there(world, kind), "all children", 5)  # type: ignore[misc]
        for kind in surplus:
            await world.edit(kind, {"metadata": {"labels": {naming.LABEL_MANAGED_BY: None}}})
        await world.change(autoscaling=None, replicas=1)
        async with cluster_process.started(limited, tmp_path, **SHORT) as operator:
            await operator.until_ready()

            async def are_gone() -> bool:
                return not any([await is_there(world, kind) for kind in surplus])

            await cluster_world.wait_until(are_gone, "what nobody wants is gone", 10)

    run(kubeconfig, story, "process-strays")
