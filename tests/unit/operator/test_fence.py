"""`fence`: closed by the clock alone, and asked once more when the bytes are about to leave."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from modelyard_operator import errors, fence


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_it_is_closed_until_it_is_opened_and_when_its_time_is_over() -> None:
    clock = Clock()
    barrier = fence.Fence(clock=clock)
    with pytest.raises(errors.NotLeading, match="apply Service a/b: held back"):
        barrier.check("apply Service a/b")
    barrier.open(57.0)
    assert barrier.check("x") == 7.0
    clock.now = 57.0
    with pytest.raises(errors.NotLeading):
        barrier.check("x")
    barrier.open(60.0)
    barrier.close()
    assert barrier.seconds_left() == 0


def test_without_a_rival_it_is_always_open() -> None:
    assert fence.unfenced().check("x") > 10**9


def test_its_own_clock_goes_on() -> None:
    barrier = fence.unfenced()
    before = barrier.now()
    assert barrier.now() >= before > 0


class Server:
    """Answers when it is told to; remembers the bodies that came in full."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.has_read, self.may_answer = asyncio.Event(), asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.has_read.set()
        await self.may_answer.wait()
        return web.Response()


def test_a_write_that_waited_for_a_connection_too_long_is_never_sent() -> None:
    async def story() -> None:
        server, clock = Server(), Clock()
        app = web.Application()
        app.router.add_route("*", "/", server.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        barrier = fence.Fence(until=60.0, clock=clock)
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def write(data: bytes) -> int:
                async with session.patch(url, data=barrier.guard("write", data)) as answer:
                    return answer.status

            first = asyncio.create_task(write(b"first"))
            async with asyncio.timeout(10):
                await server.has_read.wait()
            second = asyncio.create_task(write(b"second"))
            await asyncio.sleep(0)
            clock.now = 60.0
            server.may_answer.set()
            assert await first == 200
            with pytest.raises(aiohttp.ClientError):
                await second
            barrier.open(70.0)
            assert await write(b"third") == 200
        await runner.cleanup()
        assert server.bodies == [b"first", b"third"]

    asyncio.run(story())
