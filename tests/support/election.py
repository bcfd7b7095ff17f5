"""Several operators at an election in virtual time, and what happens to them by chance.

`storm` is the one question: whatever happens, may two of them ever write at the same moment? Asked by
tests/unit/operator/test_leadership.py with a few seeds and by the campaign of tests/torture with many.
"""

import asyncio
import itertools
import random

from modelyard_operator import fence, leadership, lease
from tests.support import leases, virtual_time

WHERE = ("modelyard-system", "modelyard-operator")
LOOKS = 3000  # about five minutes of virtual time


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


def storm(seed: int) -> int:
    """Play one seed; give at how many moments somebody could write.

    Raises:
        AssertionError: two could at once.
    """
    moments = 0

    async def story() -> None:
        nonlocal moments
        weather = Weather(seed)
        for _ in range(LOOKS):
            await asyncio.sleep(weather.chance.uniform(0.01, 0.2))
            able = [process.identity for process in weather.running if process.may_write]
            assert len(able) <= 1, f"seed {seed}: {' and '.join(able)} may write at once"
            moments += len(able)
            if weather.chance.random() < 0.01:
                await weather.disturb()
            weather.restart_losers()

    virtual_time.run(story())
    return moments
