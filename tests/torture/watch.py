"""The watch campaign: every way in which a watch and its list fail, on both kinds of streams, all side by side.

Each case has its own operator, proxy and namespace. The trouble lasts 3 minutes (short form: 10 s); the moment it is
over the user changes something that only this stream can tell the operator, and that must be answered within a minute:
by riding the trouble through, or by ending and being started again, never by living on deaf. An operator may not ask
without end either while it is in trouble.
"""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from modelyard_operator import naming
from modelyard_operator.objects import Kind
from tests.support import cluster_world
from tests.support.faultproxy_faults import TROUBLES, Trouble
from tests.torture import campaign, lane, rig, scenarios

NAME = "watch"
HEARS_WITHIN_SECONDS = 60.0
# The worst that is allowed is list and watch twice a second (an API server that says 410 again and again); a restart
# costs about 15 requests, and a supervisor makes at most 3 in the first ten seconds.
_REQUESTS_A_MINUTE = 300
_REQUESTS_OF_RESTARTS = 50
_SHORT_SECONDS, _LONG_SECONDS = 10.0, 180.0
_STARTS_AT_ONCE = 3  # more only wait for the two cores
STREAMS = {naming.PLURAL: "resource", Kind.DEPLOYMENT.plural: "children"}


class Case(msgspec.Struct, frozen=True):
    """One trouble on the streams of one kind."""

    trouble: Trouble
    plural: str

    @property
    def name(self) -> str:
        """The case for people and for --case."""
        return f"{self.trouble.name} on {self.plural}"


def run(order: campaign.Order) -> list[campaign.Row]:
    """Run the campaign on a control plane of its own."""
    with rig.control_plane(NAME) as kubeconfig, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(cases(order, kubeconfig, Path(folder)))


async def cases(order: campaign.Order, kubeconfig: Path, folder: Path) -> list[campaign.Row]:
    """Run the campaign on a control plane that is there."""
    planned = [Case(trouble, plural) for trouble in TROUBLES.values() for plural in STREAMS]
    chosen = [case for case in planned if order.case in case.name]
    starting = asyncio.Semaphore(_STARTS_AT_ONCE)
    all_ready = asyncio.Barrier(len(chosen))

    async def play(number: int, case: Case) -> campaign.Row:
        return await _case((number, case), order, (kubeconfig, folder), (starting, all_ready))

    return await asyncio.gather(*(play(number, case) for number, case in enumerate(chosen)))


async def _case(
    numbered: tuple[int, Case],
    order: campaign.Order,
    places: tuple[Path, Path],
    together: tuple[asyncio.Semaphore, asyncio.Barrier],
) -> campaign.Row:
    number, case = numbered
    starting, all_ready = together
    async with AsyncExitStack() as stack:
        async with starting:
            which = await stack.enter_async_context(lane.opened(*places, f"watch-lane-{number}"))
            await which.world.create(replicas=2)
            await scenarios.settled(which.world)
        # Otherwise the starts of the others would be part of the trouble.
        await all_ready.wait()
        problem, figures = await _suffer(which, case, _SHORT_SECONDS if order.short else _LONG_SECONDS)
    print(f"  {'FAILED' if problem else 'ok'} {case.name}: {problem} {figures}", flush=True)
    again = campaign.replay(NAME, order, case.name)
    return campaign.Row(case.name, not problem, f"{problem} {figures}".strip(), again)


async def _suffer(which: lane.Lane, case: Case, seconds: float) -> tuple[str, str]:
    """Let the operator suffer and recover; give what was wrong, and the figures."""
    proxy = which.proxy
    began = proxy.now()
    proxy.disturb([case.plural], case.trouble)
    await asyncio.sleep(seconds)  # what is tested is a trouble of this length
    proxy.heal()
    healed = proxy.now()
    asked = sum(began <= each.seconds <= healed for each in proxy.records)
    await _change(which, case)
    try:
        await cluster_world.wait_until(
            lambda: _is_answered(which, case), "the change is answered", HEARS_WITHIN_SECONDS
        )
    except AssertionError as error:
        alive = which.supervisor.operator.process.returncode is None
        return f"{error}; {'alive and deaf' if alive else 'dead'}", _figures(which, healed, asked)
    allowed = _REQUESTS_OF_RESTARTS + _REQUESTS_A_MINUTE * seconds / 60
    problem = f"a busy loop: {asked} requests, {allowed:.0f} allowed" if asked > allowed else ""
    unknown = [code for code in which.supervisor.unplanned if code != 1]
    problem = problem or (f"undocumented exit codes {unknown}" if unknown else "")
    return problem, _figures(which, healed, asked)


async def _change(which: lane.Lane, case: Case) -> None:
    """Change what this stream alone brings: the spec, or a child behind the operator's back."""
    if case.plural == naming.PLURAL:
        await which.world.change(replicas=3)
    else:
        await which.world.edit(Kind.DEPLOYMENT, {"spec": {"replicas": 9}})


async def _is_answered(which: lane.Lane, case: Case) -> bool:
    expected = 3 if case.plural == naming.PLURAL else 2
    replicas: int = (await which.world.deployment())["spec"]["replicas"]
    return replicas == expected


def _figures(which: lane.Lane, healed: float, asked: int) -> str:
    exits = which.supervisor.unplanned
    way = f"{len(exits)} exits {sorted(set(exits))}" if exits else "ridden through"
    return f"({way}, {asked} requests, answered after {which.proxy.now() - healed:.1f} s)"
