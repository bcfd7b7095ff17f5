"""`health` and `pulse`: liveness is told from work, and an API server that is down is no reason to die."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from modelyard_operator import health, metrics, pulse
from tests.support import virtual_time

Get = Callable[[str], Awaitable[tuple[int, str]]]


def serve(story: Callable[[health.Health, pulse.Pulse, Get], Awaitable[None]]) -> None:
    """Run a story with a health port."""

    async def play() -> None:
        life = pulse.Pulse()
        answers = health.Health(metrics.Metrics("1.2.3"), life)
        runner = await answers.serve(0)
        port = next(address[1] for address in runner.addresses if len(address) == 2)  # IPv4
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> tuple[int, str]:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    return answer.status, await answer.text()

            try:
                await story(answers, life, get)
            finally:
                await runner.cleanup()

    asyncio.run(play())


def test_readiness_is_what_it_was_told() -> None:
    async def story(answers: health.Health, _life: pulse.Pulse, get: Get) -> None:
        assert await get("/readyz") == (503, "not watching yet\n")
        answers.set_ready(True)
        assert await get("/readyz") == (200, "ok\n")
        answers.set_ready(False)
        assert (await get("/readyz"))[0] == 503

    serve(story)


def test_liveness_fails_on_a_queue_that_stands_still_and_says_so() -> None:
    async def story(answers: health.Health, _life: pulse.Pulse, get: Get) -> None:
        assert await get("/livez") == (200, "ok\n")
        answers.watch_queue(lambda: 299.0)
        assert (await get("/livez"))[0] == 200
        answers.watch_queue(lambda: 301.0)
        assert await get("/livez") == (503, "queue: nothing gets done for 301 s\n")

    serve(story)


def test_liveness_fails_on_a_part_that_has_missed_its_time() -> None:
    async def story(_answers: health.Health, life: pulse.Pulse, get: Get) -> None:
        life.beat("watch deployments", within_seconds=300)
        assert (await get("/livez"))[0] == 200
        life.beat("watch services", within_seconds=-1)
        assert await get("/livez") == (503, "watch services: no sign of life for 0 s\n")
        life.beat("watch services")
        assert (await get("/livez"))[0] == 200

    serve(story)


def test_ages_and_versions_are_on_metrics() -> None:
    async def story(_answers: health.Health, life: pulse.Pulse, get: Get) -> None:
        life.beat("lease")
        _status, text = await get("/metrics")
        assert 'modelyard_operator_part_age_seconds{part="lease"} 0' in text
        assert 'version="1.2.3"' in text

    serve(story)


def test_a_part_is_late_only_after_its_own_time() -> None:
    async def story() -> None:
        life = pulse.Pulse()
        life.beat("a", within_seconds=10)
        life.beat("b", within_seconds=100)
        await asyncio.sleep(11)
        assert life.stopped() == {"a": 11}
        assert life.ages() == {"a": 11, "b": 11}
        life.beat("a")
        assert life.stopped() == {}

    virtual_time.run(story())
