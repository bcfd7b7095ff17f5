"""The session that kopf gets: our credentials on each request, and no watch that is reopened at full speed."""

import asyncio
import contextlib
import itertools
from typing import Any
from unittest import mock

import aiohttp
import yarl
from aiohttp import web
from kubernetes.aio import client

from modelyard_operator import connection

WATCH = "/apis/modelyard.dev/v1alpha1/modeldeployments?watch=true"


async def passed_on(request: aiohttp.ClientRequest) -> Any:
    return "passed on"


async def opened(requests: list[tuple[str, str, float]], paths: list[str]) -> None:
    """Make requests one after the other over a paced session to a server that ends each answer at once."""

    async def answer(request: web.Request) -> web.Response:
        seconds = asyncio.get_running_loop().time()
        requests.append((request.path_qs, request.headers.get("Authorization", ""), seconds))
        return web.Response()

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    configuration.api_key = {"BearerToken": "first"}
    configuration.api_key_prefix = {"BearerToken": "Bearer"}
    link = connection.Connection(configuration)
    try:
        async with link.paced_session() as session:
            for path in paths:
                async with session.get(link.server + path) as response:
                    await response.read()
                configuration.api_key = {"BearerToken": "second"}
    finally:
        await link.close()
        await runner.cleanup()


def test_a_watch_that_ends_at_once_is_opened_again_after_a_pause_only() -> None:
    requests: list[tuple[str, str, float]] = []
    asyncio.run(opened(requests, [WATCH] * 3))
    pauses = [after - before for (*_, before), (*_, after) in itertools.pairwise(requests)]
    assert len(pauses) == 2
    assert min(pauses) > 0.5  # of 1 s; a request may arrive late, and the next one not


def test_a_list_and_a_watch_of_something_else_are_not_held() -> None:
    async def story() -> list[Any]:
        pace = connection.Pace(3600)
        waited: list[Any] = []
        for path in (WATCH, WATCH.replace("modeldeployments", "others"), "/api/v1/pods", "/api/v1/pods"):
            request = mock.Mock(url=yarl.URL(f"http://api{path}"))
            async with asyncio.timeout(60):
                waited.append(await pace(request, passed_on))
        return waited

    assert asyncio.run(story()) == ["passed on"] * 4


def test_each_request_has_the_token_of_its_time() -> None:
    requests: list[tuple[str, str, float]] = []
    asyncio.run(opened(requests, ["/api/v1/pods", "/api/v1/pods"]))
    assert [header for _path, header, _seconds in requests] == ["Bearer first", "Bearer second"]


def test_each_list_and_watch_is_counted_with_its_answer() -> None:
    counted: list[tuple[str, str, int]] = []

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=410 if "watch" in request.query else 200)

    async def story() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        link = connection.Connection(client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}"))
        link.count = lambda *call: counted.append(call)
        async with link.paced_session() as ours, link.streams.get(link.server + "/api/v1/pods"):
            await ours.get(link.server + WATCH)
        await runner.cleanup()
        with contextlib.suppress(aiohttp.ClientError):
            await link.streams.get(link.server + "/api/v1/services")
        await link.close()

    asyncio.run(story())
    assert counted[:2] == [("GET", "pods", 200), ("WATCH", "modeldeployments", 410)]
    # On a connection that was kept and turns out to be dead, aiohttp tries once more.
    assert set(counted[2:]) == {("GET", "services", 0)}
