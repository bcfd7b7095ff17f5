"""The crash campaign: the operator dies at every single write of every story, in each of three ways.

After each death another one starts, and then Sieve's two oracles hold: the end state is the undisturbed one, and each
object was created and deleted exactly as often. A write is named by what it is ("PATCH deployments/iris #2"), never by
its place in the log. The short form takes every write of every story once, the ways in rotation.
"""

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.support import cluster_world, faultproxy_faults, faultproxy_records
from tests.support.faultproxy_faults import Place
from tests.torture import campaign, lane, rig, scenarios

NAME = "crash"
LANES = 3
_UNDISTURBED_RUNS = 2
_QUIET_SECONDS = 1.0
_CONVERGE_SECONDS = 60.0
_UNREACHED = "the write was never made"
_ATTEMPTS = 3  # to reach a write that the timing of a run may leave out, as a second status


class Reference(msgspec.Struct, frozen=True):
    """What an undisturbed run came to: the end, the writes on the way, and who was created and deleted how often."""

    end: dict[str, Any]
    writes: tuple[str, ...]
    counts: Counter[str]


class Case(msgspec.Struct, frozen=True):
    """One death: in which story, at which write, how."""

    scenario: scenarios.Scenario
    write: str
    place: Place

    @property
    def name(self) -> str:
        """The case for people and for --case."""
        return f"{self.write}/{self.place.value}"

    @property
    def is_elusive(self) -> bool:
        """Whether it may stay out of reach: how many statuses are said on the way depends on the timing."""
        return "/status #" in self.write and not self.write.endswith("#1")


def run(order: campaign.Order) -> list[campaign.Row]:
    """Run the campaign on a control plane of its own."""
    with rig.control_plane(NAME) as kubeconfig, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(cases(order, kubeconfig, Path(folder)))


async def cases(order: campaign.Order, kubeconfig: Path, folder: Path) -> list[campaign.Row]:
    """Run the campaign on a control plane that is there; give a row for each death."""
    budget = campaign.Budget(order)
    async with _lanes(kubeconfig, folder, LANES) as lanes:
        stories = list(scenarios.SCENARIOS.values())
        found = await rig.spread(lanes, stories * _UNDISTURBED_RUNS, _reference)
        references = {
            story.name: _agreed(found[index :: len(stories)]) for index, story in enumerate(stories)
        }
        planned = [case for case in plan(references, order.short) if order.case in case.name]
        assert planned or order.case, "no story has a write"

        async def play(which: lane.Lane, case: Case) -> campaign.Row | None:
            if budget.is_spent():
                return None
            return await _case(which, case, references[case.scenario.name], order)

        rows = await rig.spread(lanes, planned, play)
    return rig.with_rest(rows, NAME)


def _agreed(runs: list[Reference]) -> Reference:
    """Give what all undisturbed runs have in common; their ends and counts have to be the same.

    A write that only some of them made, as a status that a slower run has skipped, is no place to die at.
    """
    first, *others = runs
    for other in others:
        unlike = lane.differences(first.end, other.end)
        assert not unlike, f"two undisturbed runs differ: {lane.summary(unlike)}"
        assert first.counts == other.counts, f"two undisturbed runs differ: {first.counts}, {other.counts}"
    common = set(first.writes).intersection(*(other.writes for other in others))
    return msgspec.structs.replace(first, writes=tuple(write for write in first.writes if write in common))


def plan(references: dict[str, Reference], short: bool) -> list[Case]:
    """Give every death: each write in each way, or for the short form each write in one way, in rotation."""
    rotation = itertools.cycle(Place)
    found = []
    for name, reference in references.items():
        for write in reference.writes:
            places = (next(rotation),) if short else tuple(Place)
            found += [Case(scenarios.SCENARIOS[name], write, place) for place in places]
    return found


async def _reference(which: lane.Lane, story: scenarios.Scenario) -> Reference:
    await _prepare(which, story)
    await story.act(which.world)
    await scenarios.settled(which.world)
    await which.until_quiet(_QUIET_SECONDS)
    done = _acted(which)
    end = {} if story.removes else await which.dump()
    writes = tuple(faultproxy_records.occurrences(each.call for each in done))
    return Reference(end, writes, _counts(done))


async def _prepare(which: lane.Lane, story: scenarios.Scenario) -> None:
    await which.clear()
    which.proxy.step = "prepare"
    if story.prepare is not None:
        await story.prepare(which.world)
        await scenarios.settled(which.world)
        await which.until_quiet(_QUIET_SECONDS / 2)
    which.proxy.step = story.name


async def _case(which: lane.Lane, case: Case, reference: Reference, order: campaign.Order) -> campaign.Row:
    problem = ""
    for _attempt in range(_ATTEMPTS):
        try:
            problem = await _strike(which, case, reference)
        except (AssertionError, TimeoutError) as error:
            problem = f"{error or type(error).__name__}; {await _state(which)}"
        if problem != _UNREACHED:
            break
    note = ""
    if problem == _UNREACHED and case.is_elusive:
        note, problem = problem, ""
    if problem:
        await _restart(which)
    mark = "ok" if not problem else "FAILED"
    print(f"  {mark} {case.name} {problem or note}", flush=True)
    again = campaign.replay(NAME, order, case.name)
    return campaign.Row(case.name, not problem, problem or note, again)


async def _strike(which: lane.Lane, case: Case, reference: Reference) -> str:
    """Play one story with one death; give what was wrong, nothing when all is well."""
    story = case.scenario
    await _prepare(which, story)
    killer = faultproxy_faults.KillAt(case.write, case.place)
    which.proxy.plan = killer
    starts = which.supervisor.starts
    if story.removes:
        which.supervisor.hold()
    try:
        await story.act(which.world)
        if story.removes:
            return await _remove_while_dead(which, killer)
        await scenarios.settled(which.world)
        if not killer.has_struck:
            return _UNREACHED
        await cluster_world.wait_until(lambda: _has_restarted(which, starts), "another operator has started")
    finally:
        which.supervisor.release()
    await which.until_ready()
    return await _judge(which, reference)


async def _state(which: lane.Lane) -> str:
    """Give where things stand, for whoever has to find out why."""
    world = which.world
    resource = await world.backend.read("modeldeployments", world.namespace, "iris")
    deployment = await world.backend.read("deployments", world.namespace, "iris")
    last = [
        f"{each.process} {each.call.verb} {each.call.what} {each.code}" for each in which.proxy.records[-8:]
    ]
    said = {
        "generation": (resource or {}).get("metadata", {}).get("generation"),
        **(resource or {}).get("status", {}),
    }
    found = (deployment or {}).get("status"), (deployment or {}).get("metadata", {}).get("generation")
    return f"status {said}; Deployment {found}; last requests {last}; watch lines {which.proxy.lines[-5:]}"


async def _judge(which: lane.Lane, reference: Reference) -> str:
    async def is_as_expected() -> bool:
        return not lane.differences(reference.end, await which.dump())

    try:
        await cluster_world.wait_until(is_as_expected, "the undisturbed end state", _CONVERGE_SECONDS)
    except AssertionError as error:
        return f"{error}: {lane.summary(lane.differences(reference.end, await which.dump()))}"
    await which.until_quiet(_QUIET_SECONDS)
    unwanted = lane.differences(reference.end, await which.dump())
    if unwanted:
        return f"it did not stay so: {lane.summary(unwanted)}"
    counts = _counts(_acted(which))
    if counts != reference.counts:
        more, fewer = counts - reference.counts, reference.counts - counts
        return f"created and deleted too often: {dict(more)}, too seldom: {dict(fewer)}"
    return _unplanned_exits(which)


async def _remove_while_dead(which: lane.Lane, killer: faultproxy_faults.KillAt) -> str:
    """Delete the resource while nobody watches; whatever was half made has to go, and nothing may come."""

    async def has_struck() -> bool:
        await scenarios.advance(which.world)
        return killer.has_struck and which.supervisor.operator.process.returncode is not None

    try:
        await cluster_world.wait_until(has_struck, "the death", 10)
    except AssertionError:
        return _UNREACHED
    world = which.world
    await world.backend.remove("modeldeployments", world.namespace, "iris")
    which.proxy.step = "deleted"
    which.supervisor.release()
    await cluster_world.wait_until(lambda: _has_restarted(which, 0), "another operator has started")
    await which.until_ready()
    await which.collect_garbage()
    await which.until_quiet(_QUIET_SECONDS)
    if not await which.is_empty():
        return f"left behind: {', '.join(await which.dump())}"
    late = [
        each.call.what for each in which.proxy.records if each.is_effective and each.call.step == "deleted"
    ]
    return f"written after the deletion: {lane.summary(late)}" if late else _unplanned_exits(which)


async def _has_restarted(which: lane.Lane, starts: int) -> bool:
    return which.supervisor.starts > starts and which.supervisor.operator.process.returncode is None


def _unplanned_exits(which: lane.Lane) -> str:
    codes = which.supervisor.unplanned
    return f"the operator ended by itself: {codes}" if codes else ""


def _acted(which: lane.Lane) -> list[faultproxy_records.Record]:
    """Give the writes since the preparation."""
    return [each for each in which.proxy.records if each.is_effective and each.call.step != "prepare"]


def _counts(done: list[faultproxy_records.Record]) -> Counter[str]:
    return faultproxy_records.creations(done) + faultproxy_records.deletions(done)


async def _restart(which: lane.Lane) -> None:
    """Start over with a new operator, so that one failure stays one."""
    which.proxy.plan = None
    which.supervisor.exits.clear()
    await which.kill()
    await which.until_ready()


@asynccontextmanager
async def _lanes(kubeconfig: Path, folder: Path, count: int) -> AsyncIterator[list[lane.Lane]]:
    async with AsyncExitStack() as stack:
        opening = [lane.opened(kubeconfig, folder, f"crash-lane-{index}") for index in range(count)]
        yield [await stack.enter_async_context(each) for each in opening]
