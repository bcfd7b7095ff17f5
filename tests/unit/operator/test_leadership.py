"""`leadership`: in virtual time, whatever happens to the calls, no two processes may write at the same moment."""

import asyncio
import itertools
import random

import pytest

from modelyard_operator import fence, leadership, lease
from tests.support import leases, virtual_time

WHERE = ("modelyard-system", "modelyard-operator")


class Process:
    """One operator: its fence, its part in the election, its way to the API server."""

    def __init__(self, server: leases.Leases, identity: str, chance: random.Random | None = None) -> None:
        self.identity = identity
        self.fence = fence.Fence(clock=asyncio.get_running_loop().time)
        self.way = leases.Faulty(server, chance) if chance else server
        self.leadership = leadership.Leadership(
            self.way, self.fence, lease.Candidacy(*WHERE, identity), lambda: "now", lambda _part: None
        )
        self.task = asyncio.create_task(self.leadership.run())

    @property
    def may_write(self) -> bool:
        return self.fence.seconds_left() > 0

    async def crash(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.fence.close()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.leadership.give_back()


async def seconds_until(process: Process) -> float:
    """Wait until a process may write; give how long it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not process.may_write:
        await asyncio.sleep(0.05)
        assert loop.time() < started + 60
    return loop.time() - started


def test_one_leads_at_once_and_the_other_stands_by() -> None:
    async def story() -> None:
        server = leases.Leases()
        server.put({"metadata": {"name": WHERE[1]}})
        first = Process(server, "a")
        assert await seconds_until(first) < 0.1
        second = Process(server, "b")
        for _ in range(300):
            await asyncio.sleep(0.2)
            assert first.may_write
            assert not second.may_write
        assert not second.leadership.leads.is_set()
        assert set(server.writes) == {"a"}

    virtual_time.run(story())


def test_after_a_death_the_heir_leads_within_fifteen_seconds_and_not_before_the_deadline() -> None:
    async def story() -> None:
        server = leases.Leases()
        server.put({"metadata": {"name": WHERE[1]}})
        first = Process(server, "a")
        await seconds_until(first)
        second = Process(server, "b")
        await asyncio.sleep(60)
        await first.crash()
        assert lease.DEADLINE_SECONDS < await seconds_until(second) < 13

    virtual_time.run(story())


def test_after_leaving_in_order_the_heir_leads_at_its_next_look() -> None:
    async def story() -> None:
        server = leases.Leases()
        server.put({"metadata": {"name": WHERE[1]}})
        first = Process(server, "a")
        await seconds_until(first)
        second = Process(server, "b")
        await asyncio.sleep(60)
        await first.leave()
        assert not first.may_write
        assert await seconds_until(second) <= lease.POLL_SECONDS + 0.1

    virtual_time.run(story())


def test_without_an_answer_writing_ends_at_the_deadline_and_goes_on_when_nobody_else_came() -> None:
    async def story() -> None:
        server = leases.Leases()
        server.put({"metadata": {"name": WHERE[1]}})
        chance = random.Random(1)
        process = Process(server, "a", chance)
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


def test_who_was_cut_off_and_finds_another_leader_ends() -> None:
    async def story() -> None:
        server = leases.Leases()
        server.put({"metadata": {"name": WHERE[1]}})
        first = Process(server, "a", random.Random(2))
        await seconds_until(first)
        assert isinstance(first.way, leases.Faulty)
        first.way.is_cut = True
        second = Process(server, "b")
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
        server = leases.Leases()
        server.put({"metadata": {"name": WHERE[1]}})
        running = [Process(server, "a")]
        await seconds_until(running[0])
        running.append(Process(server, "b"))
        await asyncio.sleep(5)
        metadata = {"name": WHERE[1]}
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


class Weather:
    """Three operators, and what happens to them by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = leases.Leases()
        self.names = (f"p{number}" for number in itertools.count())
        self.running = [self.start() for _ in range(3)]

    def start(self) -> Process:
        return Process(self.server, next(self.names), self.chance)

    async def disturb(self) -> None:
        number = self.chance.randrange(len(self.running))
        process = self.running[number]
        match self.chance.choice(["crash", "leave", "cut", "heal", "delete", "empty"]):
            case "crash":
                await process.crash()
                self.running[number] = self.start()
            case "leave":
                await process.leave()
                self.running[number] = self.start()
            case "cut" | "heal" as kind:
                assert isinstance(process.way, leases.Faulty)
                process.way.is_cut = kind == "cut"
            case "delete":
                self.server.put(None)
            case "empty" if self.server.stored:
                spec = {**self.server.stored["spec"], "holderIdentity": ""}
                self.server.put({**self.server.stored, "spec": spec})

    def restart_losers(self) -> None:
        for number, process in enumerate(self.running):
            if process.task.done():
                assert isinstance(process.task.exception(), leadership.Lost)
                self.running[number] = self.start()


@pytest.mark.parametrize("seed", range(20))
def test_in_any_weather_no_two_may_write_at_once(seed: int) -> None:
    async def story() -> None:
        weather = Weather(seed)
        moments = 0
        for _ in range(3000):
            await asyncio.sleep(weather.chance.uniform(0.01, 0.2))
            able = [process.identity for process in weather.running if process.may_write]
            assert len(able) <= 1, (seed, able)
            moments += len(able)
            if weather.chance.random() < 0.01:
                await weather.disturb()
            weather.restart_losers()
        assert moments > 300

    virtual_time.run(story())
