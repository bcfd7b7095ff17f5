"""The campaign of a faulty API server: any request may fail in any way while a user goes on changing a model.

Up to half of the requests is refused, lost before or after being carried out, delayed, cut in half or answered with the
past, as the seed says; then the faults stop, and the end state is that of the undisturbed story. The operator may not
crash and may not ask without end.
"""

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from modelyard_operator import naming
from tests.support import cluster_world, faultproxy_faults
from tests.torture import campaign, lane, rig, scenarios

NAME = "requests"
LANES = 3
_RATES = (0.05, 0.2, 0.5)
_SHORT_SEEDS, _LONG_SEEDS = 3, 30
_PAUSE_SECONDS = 4.0  # between two changes of the user: some are made in the middle of the work on the last
_CONVERGE_SECONDS = 120.0
_QUIET_SECONDS = 1.0
# A rollout is polled every 2 s, a visit that has something to write reads about 9 objects first, and the user makes 15
# changes a minute.
MOST_REQUESTS_A_MINUTE = 450
# Nothing works and nobody changes anything: retries after 1, 2, 4, 8 … s are 6 in the first minute, 1 or 2 in the next.
MOST_REQUESTS_WHEN_STANDING = 60
_STANDING_SECONDS = 120.0
_STANDING = ("409", "422", "500", "504 unapplied", "504 applied", "reset after")


def run(order: campaign.Order) -> list[campaign.Row]:
    """Run the campaign on a control plane of its own."""
    with rig.control_plane(NAME) as kubeconfig, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(cases(order, kubeconfig, Path(folder)))


async def cases(order: campaign.Order, kubeconfig: Path, folder: Path) -> list[campaign.Row]:
    """Run the campaign on a control plane that is there; each seed is a case."""
    budget = campaign.Budget(order)
    count = _SHORT_SEEDS if order.short else _LONG_SEEDS
    seeds = [order.seed + index for index in range(count) if order.case in f"seed {order.seed + index}"]
    async with AsyncExitStack() as stack:
        opening = [lane.opened(kubeconfig, folder, f"requests-lane-{index}") for index in range(LANES)]
        lanes = [await stack.enter_async_context(each) for each in opening]
        await story(lanes[0].world)
        await scenarios.settled(lanes[0].world)
        await lanes[0].until_quiet(_QUIET_SECONDS)
        end = comparable(await lanes[0].dump())

        async def play(which: lane.Lane, seed: int) -> campaign.Row | None:
            return None if budget.is_spent() else await _case(which, seed, end, order)

        rows = await rig.spread(lanes, seeds, play)
        names = [] if order.short else [name for name in _STANDING if order.case in f"standing {name}"]

        async def stand(which: lane.Lane, name: str) -> campaign.Row | None:
            return None if budget.is_spent() else await _standing_case(which, name, order)

        rows += await rig.spread(lanes, names, stand)
    return rig.with_rest(rows, NAME)


async def story(world: cluster_world.World) -> None:
    """Be a user who changes a model again and again, and Kubernetes' controllers meanwhile."""
    steps = (
        world.create(replicas=2),
        world.change(model=scenarios.SECOND),
        world.change(replicas=None, autoscaling={"minReplicas": 2, "maxReplicas": 9}),
        world.change(autoscaling=None, replicas=3),
        world.change(replicas=1, service={"port": 8000}),
        world.change(model=cluster_world.MODEL, replicas=2),
    )
    for step in steps:
        await step
        try:
            async with asyncio.timeout(_PAUSE_SECONDS):
                await scenarios.settled(world)
        except TimeoutError:
            continue  # the user does not wait for the operator


async def _case(which: lane.Lane, seed: int, end: dict[str, Any], order: campaign.Order) -> campaign.Row:
    rate = _RATES[seed % len(_RATES)]
    await which.clear()
    which.supervisor.exits.clear()
    began = which.proxy.now()
    which.proxy.plan = faultproxy_faults.Random(seed, rate)
    problem = ""
    try:
        await story(which.world)
    finally:
        which.proxy.plan = None
    minutes = (which.proxy.now() - began) / 60
    asked = len(which.proxy.records)
    faults = Counter(each.fault for each in which.proxy.records if each.fault)
    healed = which.proxy.now()
    try:
        await _until_as(which, end)
    except AssertionError as error:
        problem = f"{error}: {lane.summary(lane.differences(end, comparable(await which.dump())))}"
    took = which.proxy.now() - healed
    # A burst of retries may fall into a run of seconds; a loop would go on for its whole minute.
    if not problem and asked > MOST_REQUESTS_A_MINUTE * max(minutes, 1.0):
        problem = f"a busy loop: {asked} requests in {minutes:.1f} min"
    problem = problem or _ends(which)
    figures = f"({asked} requests, {faults.total()} faults of {len(faults)} sorts, as it should be after {took:.1f} s)"
    name = f"seed {seed} ({rate:.0%})"
    print(f"  {'FAILED' if problem else 'ok'} {name}: {problem} {figures}", flush=True)
    again = f"python -m tests.torture --only {NAME} --seed {seed} --case 'seed {seed}'"
    return campaign.Row(name, not problem, f"{problem} {figures}".strip(), again)


async def _standing_case(which: lane.Lane, name: str, order: campaign.Order) -> campaign.Row:
    """Let every write fail in the same way for two minutes, and count what is asked in the second."""
    await which.clear()
    (fault,) = (each for each in faultproxy_faults.REQUEST_FAULTS if each.name == name)
    which.proxy.plan = lambda call: fault if call.is_write else None
    await which.world.create(replicas=2)
    await asyncio.sleep(_STANDING_SECONDS)  # what is tested is a fault of this length
    which.proxy.plan = None
    late = which.proxy.now() - _STANDING_SECONDS / 2
    asked = [each for each in which.proxy.records if each.seconds > late and not each.call.is_watch]
    problem = "" if len(asked) <= MOST_REQUESTS_WHEN_STANDING else "a busy loop"
    try:
        # The last pause may have been about a minute.
        await cluster_world.wait_until(lambda: _has_begun(which.world), "the children", _CONVERGE_SECONDS)
    except AssertionError as error:
        problem = problem or str(error)
    figures = f"({len(asked)} requests in the second minute)"
    print(f"  {'FAILED' if problem else 'ok'} standing {name}: {problem} {figures}", flush=True)
    again = campaign.replay(NAME, order, f"standing {name}")
    return campaign.Row(f"standing {name}", not problem, f"{problem} {figures}".strip(), again)


async def _has_begun(world: cluster_world.World) -> bool:
    return await world.backend.read("deployments", world.namespace, "iris") is not None


def comparable(dump: dict[str, Any]) -> dict[str, Any]:
    """Give of a dump what does not depend on how much of the story the operator has slept through.

    A model that was asked for and given up within the same fault has never become a revision, and an autoscaler that
    came and went has changed no owner.
    """
    kept: dict[str, Any] = {}
    for name, manifest in dump.items():
        metadata = {
            key: manifest["metadata"][key]
            for key in ("name", "labels", "ownerReferences")
            if key in manifest["metadata"]
        }
        if name.startswith(("controllerrevisions/", "replicasets/")):
            continue
        kept[name] = {**manifest, "metadata": metadata}
        if name == "deployments/iris":
            # How often a spec was applied on the way, not what came of it.
            kept[name]["status"] = {**manifest.get("status", {}), "observedGeneration": "ANY"}
    current = (
        dump["deployments/iris"]["spec"]["template"]["metadata"]["labels"][naming.LABEL_REVISION]
        if "deployments/iris" in dump
        else ""
    )
    if f"controllerrevisions/{current}" in dump:
        kept["revision"] = dump[f"controllerrevisions/{current}"]["data"]
    return kept


async def _until_as(which: lane.Lane, end: dict[str, Any]) -> None:
    async def is_as_undisturbed() -> bool:
        await scenarios.advance(which.world)
        return not lane.differences(end, comparable(await which.dump()))

    await cluster_world.wait_until(is_as_undisturbed, "the undisturbed end state", _CONVERGE_SECONDS)
    await which.until_quiet(_QUIET_SECONDS)


def _ends(which: lane.Lane) -> str:
    """Say which ends of the operator are not among the documented ones."""
    unknown = [code for code in which.supervisor.unplanned if code != 1]
    return f"undocumented exit codes {unknown}" if unknown else ""
