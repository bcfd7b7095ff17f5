"""One run: a cluster, an operator, N ModelDeployments, and the four measurements in the order in which they happen.

Called by `operator_scale` once for each N, each with a cluster of its own, so that no run works in the traces of
another. What is compared with, kubectl's apply, comes last and on one more fresh cluster.
"""

import asyncio
import dataclasses
import os
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from bench import audit, board, figures, operator_process, rig, workload
from devcluster import progress
from modelyard_operator.objects import Manifest

_CHILDREN_EACH = len(board.CHILDREN)
# The target that kubectl is compared for is one of 1,000; for 5,000 it would take a third of the whole measurement.
_MOST_BESIDE_KUBECTL = 1000
_TELL_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True)
class Order:
    """What to measure.

    Attributes:
        size: how many ModelDeployments.
        changes: how many changes of a spec, one after the other.
        idle_seconds: how long nothing happens.
        environ: what the operator's process inherits.
        stock_limits: leave the controllers' client-side limits as they are.
        profile: run the operator under a profiler, which writes its findings there.
    """

    size: int
    changes: int
    idle_seconds: float
    environ: dict[str, str]
    stock_limits: bool = False
    profile: Path | None = None

    @property
    def patience_seconds(self) -> float:
        """How long a step over all resources may take before the run is given up."""
        return 120 + self.size * (2.0 if self.stock_limits or self.profile else 1.0)


async def run(order: Order) -> figures.Figures:
    """Measure once.

    Raises:
        TimeoutError, RuntimeError, AssertionError: a step did not end; with what there was.
        errors.ClusterError: the API server refused something.
        ExceptionGroup: of these, from the burst.
    """
    load = os.getloadavg()[0]
    name = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as temporary:
        folder = Path(temporary)
        async with rig.up(name, folder, stock_limits=order.stock_limits) as cluster:
            measured, children = await _operator(order, cluster)
        if order.size > _MOST_BESIDE_KUBECTL:
            return figures.Figures(size=order.size, kubectl=None, load=load, **measured)
        async with rig.up(name, folder, stock_limits=order.stock_limits) as cluster:
            await rig.make_namespace(cluster, workload.NAMESPACE)
            applied = workload.apply_with_kubectl(cluster, children, order.patience_seconds)
            kubectl = await _slow(f"kubectl applies the same {len(children)} objects", applied)
    return figures.Figures(size=order.size, kubectl=kubectl, load=load, **measured)


async def _operator(order: Order, cluster: rig.Rig) -> tuple[dict[str, float], list[Manifest]]:
    kubeconfig = await operator_process.prepare(cluster)
    await rig.make_namespace(cluster, workload.NAMESPACE)
    started = operator_process.started(cluster, kubeconfig, order.environ, order.profile)
    async with board.watched(cluster, workload.NAMESPACE) as seen:
        async with started as operator:
            await operator_process.until_ready(operator)
            found = await _slow(f"{order.size} new at once", _burst(order, cluster, seen, operator))
            found |= await _slow("waiting for rest", _idle(order, cluster, operator))
            # Before the changes, each of which leaves one more revision.
            children = await _slow("reading the children back", workload.finished_children(cluster))
            found |= await _slow(f"{order.changes} changes", _changes(order, cluster, seen))
            await rest(operator)
            # Peak of everything so far: the burst and the changes.
            found["peak_mib"] = operator.process.peak_mebibytes()
        return found | await _slow("restart", _restart(order, cluster, kubeconfig)), children


async def _burst(
    order: Order, cluster: rig.Rig, seen: board.Board, operator: operator_process.Operator
) -> dict[str, float]:
    wanted, cpu = workload.names(order.size), operator.process.cpu_seconds()
    start = time.monotonic()
    expected = order.size * _CHILDREN_EACH
    async with asyncio.TaskGroup() as group:
        group.create_task(workload.create(cluster, wanted))
        telling = group.create_task(_tell(seen, expected))
        children = await seen.until(
            lambda: seen.children() >= expected, f"{expected} children", order.patience_seconds
        )
        ready = await seen.until(lambda: len(seen.ready) >= order.size, "all Ready", order.patience_seconds)
        telling.cancel()
    used = operator.process.cpu_seconds() - cpu
    return {
        "children": children - start,
        "ready": ready - start,
        "cpu_ms": 1000 * used / order.size,
    }


async def _idle(order: Order, cluster: rig.Rig, operator: operator_process.Operator) -> dict[str, float]:
    """Let nothing happen for a while, from the moment on at which the operator has come to rest."""
    await rest(operator)
    log, cpu = audit.Audit(cluster.logs, operator_process.USER), operator.process.cpu_seconds()
    await asyncio.sleep(order.idle_seconds)
    calls = sum(log.calls().values())
    return {
        "idle_calls": calls / order.size / (order.idle_seconds / 60),
        "idle_cpu": 100 * (operator.process.cpu_seconds() - cpu) / order.idle_seconds,
        "memory_mib": operator.process.memory_mebibytes(),
    }


async def _changes(order: Order, cluster: rig.Rig, seen: board.Board) -> dict[str, float]:
    """Change one resource after the other, spread over all of them."""
    names = workload.names(order.size)
    took: list[float] = []
    for number in range(order.changes):
        name = names[number * 7919 % order.size]
        before = seen.generations["deployments"][name]
        start = time.monotonic()
        await workload.change_model(cluster, name, number + 1)
        done = await seen.until(
            lambda name=name, before=before: seen.generations["deployments"][name] > before,  # type: ignore[misc]
            f"the Deployment of {name} follows",
            60,
        )
        took.append(done - start)
    await seen.until(lambda: len(seen.ready) >= order.size, "all Ready again", order.patience_seconds)
    return {"change_p50": figures.percentile(took, 0.5), "change_p99": figures.percentile(took, 0.99)}


async def _restart(order: Order, cluster: rig.Rig, kubeconfig: Path) -> dict[str, float]:
    log, start = audit.Audit(cluster.logs, operator_process.USER), time.monotonic()
    async with operator_process.started(cluster, kubeconfig, order.environ) as operator:
        await operator_process.until_ready(operator)

        async with asyncio.timeout(order.patience_seconds):
            # Not more often: answering costs the operator a few milliseconds of what is measured.
            while await operator.visits() < order.size or not await operator.is_idle():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)
        took, calls = time.monotonic() - start, log.calls()
        if not calls:
            raise RuntimeError("the audit log shows no call of the operator's: its user has another name")
        return {
            "restart": took,
            "restart_writes": audit.writes(calls),
            "restart_cpu": operator.process.cpu_seconds(),
            "restart_mib": operator.process.peak_mebibytes(),
        }


async def _tell(seen: board.Board, expected: int) -> None:
    """Tell for ever how far it is."""
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        progress.line("doing", f"{seen.children():,} of {expected:,} children, {len(seen.ready):,} Ready")


async def rest(operator: operator_process.Operator) -> None:
    """Wait until the operator finishes no visit for five seconds."""
    for _ in range(60):
        before = await operator.visits()
        await asyncio.sleep(5)
        if await operator.visits() == before and await operator.is_idle():
            return
    raise TimeoutError("the operator does not come to rest: it finishes visits without end")


async def _slow(what: str, step: Awaitable[_Value]) -> _Value:
    """Await a step and tell on standard error that it goes on and what it took."""
    with progress.step(what, what, "as long as it takes"):
        return await step
