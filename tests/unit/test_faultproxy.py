"""The fault proxy does what its faults say, and writes down what really happened."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from tests.support import faultproxy, faultproxy_records
from tests.support.faultproxy_faults import REQUEST_FAULTS, TROUBLES, Fault, KillAt, Place, Random

PATH = "/apis/apps/v1/namespaces/team/deployments/iris"
WATCH = "/apis/apps/v1/deployments?watch=true"
EVENT = {
    "type": "ADDED",
    "object": {"metadata": {"name": "iris", "namespace": "team", "resourceVersion": "7"}},
}
FAULTS = {fault.name: fault for fault in REQUEST_FAULTS}


class Server:
    """An API server of sorts: counts what reaches it, and streams one event and then nothing."""

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(json.dumps(EVENT).encode() + b"\n")
            await asyncio.Event().wait()
        self.asked += 1
        return web.json_response({"version": self.asked}, status=201 if request.method == "PATCH" else 200)


Story = Callable[[faultproxy.FaultProxy, Server, aiohttp.ClientSession, str], Awaitable[None]]


def run(story: Story) -> None:
    async def play() -> None:
        server = Server()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy = faultproxy.FaultProxy(f"http://127.0.0.1:{runner.addresses[0][1]}", None)
        try:
            async with proxy.serve() as address, aiohttp.ClientSession() as session, asyncio.timeout(20):
                await story(proxy, server, session, address)
        finally:
            await runner.cleanup()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("name", "reaches", "told"),
    [
        ("409", 0, 409),
        ("504 unapplied", 0, 504),
        ("504 applied", 1, 504),
        ("reset before", 0, 0),
        ("reset after", 1, 0),
        ("stale", 1, 201),
    ],
)
def test_a_fault_keeps_a_write_back_or_its_answer(name: str, reaches: int, told: int) -> None:
    async def story(
        proxy: faultproxy.FaultProxy, server: Server, session: aiohttp.ClientSession, address: str
    ) -> None:
        proxy.plan = lambda _call: FAULTS[name]
        if told:
            async with session.patch(address + PATH) as answer:
                assert answer.status == told
        else:
            with pytest.raises(aiohttp.ClientError):
                await session.patch(address + PATH)
        assert server.asked == reaches
        (record,) = proxy.records
        assert (record.code, record.answered, record.fault) == (201 if reaches else 0, told, name)
        assert record.is_effective == bool(reaches)

    run(story)


def test_a_stale_answer_is_an_older_one_and_a_truncated_one_is_no_json() -> None:
    async def story(
        proxy: faultproxy.FaultProxy, server: Server, session: aiohttp.ClientSession, address: str
    ) -> None:
        async def read() -> str:
            async with session.get(address + PATH) as answer:
                return await answer.text()

        assert json.loads(await read()) == {"version": 1}
        assert json.loads(await read()) == {"version": 2}
        proxy.plan = lambda _call: FAULTS["stale"]
        assert json.loads(await read()) == {"version": 1}
        proxy.plan = lambda _call: FAULTS["truncated"]
        with pytest.raises(json.JSONDecodeError):
            json.loads(await read())

    run(story)


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_reaches_the_stream_that_runs_and_the_one_that_follows(name: str) -> None:
    async def story(
        proxy: faultproxy.FaultProxy, server: Server, session: aiohttp.ClientSession, address: str
    ) -> None:
        trouble = TROUBLES[name]
        async with session.get(address + WATCH) as running:
            assert json.loads(await running.content.readline()) == EVENT
            proxy.disturb(["deployments"], trouble)
            assert await heard(running) == (b"" if trouble.code else expected(name))
        async with session.get(address + WATCH) as following:
            assert following.status == (trouble.code or 200)
            if not trouble.code:
                assert await heard(following) == expected(name)
        async with session.get(address + "/apis/apps/v1/replicasets?watch=true") as other:
            assert json.loads(await other.content.readline()) == EVENT
        proxy.heal()
        async with session.get(address + WATCH) as healed:
            assert json.loads(await healed.content.readline()) == EVENT
        assert {line.kind for line in proxy.lines} == {"deployments", "replicasets"}

    run(story)


async def heard(response: aiohttp.ClientResponse) -> bytes:
    """Give what a stream still brings; b"silence" when it neither brings anything nor ends."""
    text = b""
    try:
        async with asyncio.timeout(1):
            async for chunk in response.content.iter_any():
                text += chunk
    except TimeoutError:
        return b"silence"
    except aiohttp.ClientError:
        pass
    return b"ERROR" if b'"ERROR"' in text else text


def expected(name: str) -> bytes:
    trouble = TROUBLES[name]
    return b"silence" if trouble.is_silent else b"ERROR" if trouble.error else trouble.text


def test_what_a_dying_operator_still_asks_for_does_not_reach_the_api_server() -> None:
    async def story(
        proxy: faultproxy.FaultProxy, server: Server, session: aiohttp.ClientSession, address: str
    ) -> None:
        killed = asyncio.Event()

        async def kill() -> None:
            killed.set()

        proxy.kill, proxy.step = kill, "update"
        proxy.plan = KillAt("update: PATCH deployments/iris #2", Place.AFTER)
        for _ in range(2):
            async with session.patch(address + PATH) as answer:
                assert answer.status == 201
        with pytest.raises(aiohttp.ClientError):
            await session.patch(address + PATH)
        assert killed.is_set()
        assert server.asked == 2
        async with session.patch(address + PATH) as answer:
            assert answer.status == 201

    run(story)


def test_a_partition_answers_nothing_until_it_is_healed() -> None:
    async def story(
        proxy: faultproxy.FaultProxy, server: Server, session: aiohttp.ClientSession, address: str
    ) -> None:
        proxy.partition()
        with pytest.raises(TimeoutError):
            await session.get(address + PATH, timeout=aiohttp.ClientTimeout(total=0.3))
        assert server.asked == 0
        proxy.heal()
        async with session.get(address + PATH) as answer:
            assert answer.status == 200

    run(story)


def test_calls_are_told_from_their_paths() -> None:
    status = faultproxy_records.parse(
        "PATCH", "/apis/modelyard.dev/v1alpha1/namespaces/a/modeldeployments/iris/status", {}
    )
    assert (status.kind, status.namespace, status.name, status.subresource) == (
        "modeldeployments",
        "a",
        "iris",
        "status",
    )
    service = faultproxy_records.parse("DELETE", "/api/v1/namespaces/a/services/iris", {}, "step")
    assert (service.what, service.is_write) == ("step: DELETE services/iris", True)
    everywhere = faultproxy_records.parse("GET", "/apis/apps/v1/deployments", {"watch": "true"})
    assert (everywhere.kind, everywhere.namespace, everywhere.is_watch) == ("deployments", "", True)
    assert not faultproxy_records.parse("POST", "/api/v1/namespaces/a/events", {}).is_write


def test_only_confirmed_creations_and_deletions_count() -> None:
    made = faultproxy_records.parse("PATCH", PATH, {})
    gone = faultproxy_records.parse("DELETE", PATH, {})
    outcomes = [(made, 201), (made, 200), (made, 0), (gone, 200), (gone, 404)]
    log = [faultproxy_records.Record(0.0, call, code) for call, code in outcomes]
    assert faultproxy_records.creations(log) == {"create deployments/iris": 1}
    assert faultproxy_records.deletions(log) == {"delete deployments/iris": 1}
    assert faultproxy_records.occurrences([made, gone, made])[2] == ": PATCH deployments/iris #2"


def test_the_same_seed_draws_the_same_faults_whatever_comes_in_between() -> None:
    one, other = Random(7, 0.5), Random(7, 0.5)
    call, between = faultproxy_records.parse("GET", PATH, {}), faultproxy_records.parse("DELETE", PATH, {})
    drawn: list[list[Fault | None]] = [[one(call) for _ in range(20)], []]
    for _ in range(20):
        other(between)
        drawn[1].append(other(call))
    assert drawn[0] == drawn[1]
    assert any(drawn[0])
    assert not all(drawn[0])
