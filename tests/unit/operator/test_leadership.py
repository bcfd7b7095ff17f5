"""`leadership`: in virtual time, whatever happens to the calls, no two processes may write at the same moment."""

import asyncio
import random

import pytest

from modelyard_operator import leadership, lease
from tests.support import election, leases, virtual_time


def leases_with_ours() -> leases.Leases:
    """The Leases after the chart has been installed: ours is there and nobody's."""
    server = leases.Leases()
    server.put({"metadata": {"name": election.WHERE[1]}})
    return server


async def seconds_until(process: election.Process) -> float:
    """Wait until a process may write; give how long it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not process.may_write:
        await asyncio.sleep(0.05)
        assert loop.time() < started + 60
    return loop.time() - started


async def leader_and_heir() -> tuple[election.Process, election.Process]:
    """One that leads, and one that has been standing by for a minute."""
    server = leases_with_ours()
    first = election.Process(server, "a")
    await seconds_until(first)
    second = election.Process(server, "b")
    await asyncio.sleep(60)
    return first, second


def test_one_leads_at_once_and_the_other_stands_by() -> None:
    async def story() -> None:
        server = leases_with_ours()
        first = election.Process(server, "a")
        assert await seconds_until(first) < 0.1
        second = election.Process(server, "b")
        for _ in range(300):
            await asyncio.sleep(0.2)
            assert first.may_write
            assert not second.may_write
        assert not second.leadership.leads.is_set()
        assert set(server.writes) == {"a"}

    virtual_time.run(story())


def test_after_a_death_the_heir_leads_within_fifteen_seconds_and_not_before_the_deadline() -> None:
    async def story() -> None:
        first, second = await leader_and_heir()
        await first.crash()
        assert lease.DEADLINE_SECONDS < await seconds_until(second) < 13

    virtual_time.run(story())


def test_after_leaving_in_order_the_heir_leads_at_its_next_look() -> None:
    async def story() -> None:
        first, second = await leader_and_heir()
        await first.leave()
        assert not first.may_write
        assert await seconds_until(second) <= lease.POLL_SECONDS + 0.1

    virtual_time.run(story())


def test_without_an_answer_writing_ends_at_the_deadline_and_goes_on_when_nobody_else_came() -> None:
    async def story() -> None:
        server = leases_with_ours()
        chance = random.Random(1)
        process = election.Process(server, "a", chance)
        await seconds_until(process)
        assert isinstance(process.way, leases.Faulty)
        process.way.is_cut = True
        await asyncio.sleep(lease.DEADLINE_SECONDS)
        assert not process.may_write
        await asyncio.sleep(180)
        process.way.is_cut = False
        assert await seconds_until(process) < 15
        assert not process.task.done()

    virtual_time.run(story())


def test_an_outage_for_all_changes_no_leader() -> None:
    async def story() -> None:
        server = leases_with_ours()
        chance = random.Random(3)
        both = [election.Process(server, "a", chance)]
        await seconds_until(both[0])
        both.append(election.Process(server, "b", chance))
        await asyncio.sleep(20)
        for outage in (8, 30, 180):
            for process in both:
                assert isinstance(process.way, leases.Faulty)
                process.way.is_cut = True
            await asyncio.sleep(outage)
            assert not any(process.may_write for process in both)
            for process in reversed(both):  # the heir gets through first
                assert isinstance(process.way, leases.Faulty)
                process.way.is_cut = False
                await asyncio.sleep(3)
            await seconds_until(both[0])
            await asyncio.sleep(20)
            assert both[0].may_write
        assert not any(process.task.done() for process in both)

    virtual_time.run(story())


def test_who_was_cut_off_and_finds_another_leader_ends() -> None:
    async def story() -> None:
        server = leases_with_ours()
        first = election.Process(server, "a", random.Random(2))
        await seconds_until(first)
        assert isinstance(first.way, leases.Faulty)
        first.way.is_cut = True
        second = election.Process(server, "b")
        await seconds_until(second)
        assert not first.may_write
        first.way.is_cut = False
        with pytest.raises(leadership.Lost, match="b holds the Lease"):
            await first.task
        assert not first.may_write

    virtual_time.run(story())


@pytest.mark.parametrize("hand", ["deleted", "emptied", "given to nobody we know"])
def test_a_lease_changed_by_hand_never_makes_two_leaders_and_one_leads_again(hand: str) -> None:
    async def story() -> None:
        server = leases_with_ours()
        running = [election.Process(server, "a")]
        await seconds_until(running[0])
        running.append(election.Process(server, "b"))
        await asyncio.sleep(5)
        metadata = {"name": election.WHERE[1]}
        by_hand = {
            "deleted": None,
            "emptied": {"metadata": metadata, "spec": {}},
            "given to nobody we know": {"metadata": metadata, "spec": {"holderIdentity": "bob"}},
        }
        server.put(by_hand[hand])
        leading = None
        for _ in range(300):
            await asyncio.sleep(0.1)
            assert sum(process.may_write for process in running) <= 1
            leading = next((process for process in running if process.may_write), None)
        assert leading is not None
        (lost,) = [process.task.exception() for process in running if process.task.done()] or [None]
        assert lost is None or isinstance(lost, leadership.Lost)

    virtual_time.run(story())


@pytest.mark.parametrize("seed", range(20))
def test_in_any_weather_no_two_may_write_at_once(seed: int) -> None:
    assert election.storm(seed) > election.LOOKS / 10
