"""Two operator processes on one real API server: one works, the other takes over, and never do both write."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from modelyard_operator import cluster, metrics, reconciler
from modelyard_operator.objects import Kind
from tests.support import (
    cluster_apiserver,
    cluster_process,
    cluster_world,
    faultproxy,
    faultproxy_faults,
)

Backend = cluster_apiserver.ApiBackend
NOT_LEADING = 75
# The heir leads 11.5 s after a loss when nothing else runs on the machine (tests/unit/operator/test_leadership.py
# holds that to the second, in virtual time); here it only has to be in the same order of size.
SUCCESSION_SECONDS = 40.0
RECOVERY_SECONDS = 60  # after an outage: watches that failed for long are tried again every ten seconds


class Side:
    """One operator and the proxy that writes down what it asks for."""

    def __init__(self, operator: cluster_process.Operator, proxy: faultproxy.FaultProxy) -> None:
        self.operator = operator
        self.proxy = proxy

    async def leads(self) -> bool:
        _status, text = await self.operator.get("/metrics")
        return re.search(r"^modelyard_operator_leading 1\.0$", text, re.MULTILINE) is not None

    def writes_since(self, seconds: float) -> list[str]:
        """Give what it has written, apart from the Lease, and what the API server said to it."""
        return [
            f"{record.call.what}: {record.code}"
            for record in self.proxy.records
            if record.seconds >= seconds and record.call.verb != "GET" and record.call.kind != "leases"
        ]


class Pair:
    """The one that leads first, and the other."""

    def __init__(self, first: Side, second: Side, world: cluster_world.World) -> None:
        self.first = first
        self.second = second
        self.world = world

    async def until_second_leads(self) -> float:
        """Wait for the succession; give how long it took."""
        started = time.monotonic()
        await cluster_world.wait_until(self.second.leads, "the heir leads", SUCCESSION_SECONDS)
        return time.monotonic() - started

    async def until_scaled(self, replicas: int, within_seconds: float = 15) -> None:
        """Ask for a number of replicas and wait until the Deployment has it."""
        await self.world.change(replicas=replicas)

        async def has_it() -> bool:
            deployment = await self.world.child(Kind.DEPLOYMENT)
            return deployment is not None and deployment["spec"]["replicas"] == replicas

        await cluster_world.wait_until(has_it, f"{replicas} replicas", within_seconds)


@asynccontextmanager
async def pair(backend: Backend, kubeconfig: Path, tmp_path: Path, namespace: str) -> AsyncIterator[Pair]:
    """Start one operator, wait until it leads, start another, and wait until it stands by."""
    server, certificate_authority = cluster_process.server_of(kubeconfig, tmp_path)
    token = await cluster_process.grant(backend, namespace, everywhere=True)
    await cluster_process.grant_lease(backend, namespace)
    environment = {
        "MODELYARD_LEADER_ELECTION": "true",
        "MODELYARD_LEASE_NAMESPACE": namespace,
        "MODELYARD_WATCH_NAMESPACES": namespace,
    }
    async with AsyncExitStack() as stack:
        sides = []
        for number in range(2):
            proxy = faultproxy.FaultProxy(server, certificate_authority)
            address = await stack.enter_async_context(proxy.serve())
            path = cluster_process.write_kubeconfig(tmp_path / f"kubeconfig-{number}", address, None, token)
            operator = await stack.enter_async_context(cluster_process.started(path, tmp_path, **environment))
            sides.append(Side(operator, proxy))
            await operator.until_ready()
            await cluster_world.wait_until(sides[0].leads, "the first leads", 20)
        yield Pair(sides[0], sides[1], cluster_world.World(backend, backend_cluster(backend), namespace))


def backend_cluster(backend: Backend) -> reconciler.Cluster:
    """Give what a world needs though its own reconciler stays idle."""
    return cluster.ApiCluster(backend._link, metrics.Metrics())


def run(kubeconfig: Path, tmp_path: Path, namespace: str, story: Callable[[Pair], Awaitable[None]]) -> None:
    async def play() -> None:
        async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
            await backend.make_namespace(namespace)
            async with pair(backend, kubeconfig, tmp_path, namespace) as both:
                await both.world.create()
                await both.until_scaled(2)
                await story(both)
                assert [
                    line
                    for side in (both.first, both.second)
                    for line in side.operator.log()
                    if "exception" in line
                ] == []

    asyncio.run(play())


def test_a_standby_is_ready_and_writes_nothing(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(both: Pair) -> None:
        assert (await both.second.operator.get("/readyz"))[0] == 200
        assert (await both.second.operator.get("/livez"))[0] == 200
        assert not await both.second.leads()
        assert both.second.writes_since(0) == []
        assert both.first.writes_since(0) != []

    run(kubeconfig, tmp_path, "pair-standby", story)


def test_when_the_leader_is_killed_the_other_goes_on(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(both: Pair) -> None:
        await both.first.operator.kill()
        took = await both.until_second_leads()
        await both.until_scaled(3)
        print(f"succession after SIGKILL: {took:.1f} s")

    run(kubeconfig, tmp_path, "pair-killed", story)


def test_a_leader_that_leaves_in_order_is_succeeded_at_once(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(both: Pair) -> None:
        both.first.operator.process.send_signal(signal.SIGTERM)
        assert await both.first.operator.exit_code() == 0
        took = await both.until_second_leads()
        # Without giving the Lease back it would be 8.5 s at the very least.
        assert took < 8
        await both.until_scaled(3)
        print(f"succession after SIGTERM: {took:.1f} s")

    run(kubeconfig, tmp_path, "pair-left", story)


def test_a_leader_that_was_stopped_and_goes_on_writes_nothing_more_and_ends(
    kubeconfig: Path, tmp_path: Path
) -> None:
    async def story(both: Pair) -> None:
        process = both.first.operator.process
        # It stops with work in hand, and more of it comes in the meantime.
        await both.world.change(replicas=3)
        process.send_signal(signal.SIGSTOP)
        await both.until_second_leads()
        await both.until_scaled(4)
        woken = both.first.proxy.now()
        process.send_signal(signal.SIGCONT)
        assert await both.first.operator.exit_code(40) == NOT_LEADING
        assert both.first.writes_since(woken) == []
        assert both.first.operator.log()[-1]["message"] == "not the leader any more"
        deployment = await both.world.deployment()
        assert deployment["spec"]["replicas"] == 4
        assert await both.second.leads()

    run(kubeconfig, tmp_path, "pair-stopped", story)


def test_a_leader_that_is_cut_off_stops_writing_before_the_other_starts(
    kubeconfig: Path, tmp_path: Path
) -> None:
    async def story(both: Pair) -> None:
        both.first.proxy.partition()
        await both.until_second_leads()
        assert not await both.first.leads()
        assert (await both.first.operator.get("/livez"))[0] == 200
        await both.until_scaled(3)
        healed = both.first.proxy.now()
        both.first.proxy.heal()
        assert await both.first.operator.exit_code(40) == NOT_LEADING
        assert both.first.writes_since(healed) == []

    run(kubeconfig, tmp_path, "pair-cut-off", story)


def test_a_lease_deleted_by_hand_comes_back_with_a_leader(kubeconfig: Path, tmp_path: Path) -> None:
    async def story(both: Pair) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/pair-deleted/leases/{cluster_process.LEASE}"
        assert isinstance(both.world.backend, cluster_apiserver.ApiBackend)
        await both.world.backend.must("DELETE", path)

        async def is_back() -> bool:
            assert not (await both.first.leads() and await both.second.leads())
            assert isinstance(both.world.backend, cluster_apiserver.ApiBackend)
            status, found = await both.world.backend.request("GET", path)
            holder = found["spec"].get("holderIdentity") if status == 200 else ""
            return bool(holder)

        await cluster_world.wait_until(is_back, "somebody leads again", 2 * SUCCESSION_SECONDS)
        await both.until_scaled(3)

    run(kubeconfig, tmp_path, "pair-deleted", story)


def test_an_api_server_that_is_away_for_all_costs_no_leader_and_no_process(
    kubeconfig: Path, tmp_path: Path
) -> None:
    async def story(both: Pair) -> None:
        sides = (both.first, both.second)
        for side in sides:
            side.proxy.disturb([faultproxy.EVERYTHING], faultproxy_faults.TROUBLES["HTTP 503"])

        async def is_over() -> bool:
            return not await both.first.leads()

        await cluster_world.wait_until(is_over, "the deadline has passed", 20)
        await both.world.change(replicas=3)
        for side in sides:
            assert (await side.operator.get("/livez"))[0] == 200
            side.proxy.heal()

        async def leads_again() -> bool:
            return await both.first.leads() or await both.second.leads()

        await cluster_world.wait_until(leads_again, "somebody leads", SUCCESSION_SECONDS)
        await both.until_scaled(4, RECOVERY_SECONDS)
        # Whoever of the two it is now: nobody has ended unless another leads.
        assert both.first.operator.process.returncode is None or await both.second.leads()
        assert both.second.operator.process.returncode is None

    run(kubeconfig, tmp_path, "pair-outage", story)
