"""More requests than the model can answer: it goes on answering as many as it can, and refuses the others cleanly."""

import asyncio
import collections
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.ensemble import BaggingRegressor
from sklearn.tree import DecisionTreeRegressor

from tests.integration.runtime import processes

SECONDS = 6.0
# Hundreds of stumps: a small file, a small request, and a prediction that takes tens of milliseconds.
_X = np.random.default_rng(0).normal(size=(200, 4))
STUMPS = BaggingRegressor(DecisionTreeRegressor(max_depth=1), 300, random_state=0).fit(_X, _X[:, 0])
EXPECTED = STUMPS.predict(_X[:1]).tolist()
ROW = {"X": _X[:1].tolist()}


class Load:
    """Requests at a constant rate, whatever becomes of them, and what was answered."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.codes: collections.Counter[int] = collections.Counter()
        self.health_seconds: list[float] = []

    async def send(self, per_second: float, seconds: float) -> None:
        """Asks, and looks at the health meanwhile."""
        started = time.monotonic()
        asked: set[asyncio.Task[Any]] = set()
        while (passed := time.monotonic() - started) < seconds:
            while len(asked) < passed * per_second:
                asked.add(asyncio.create_task(self._ask()))
            health = time.monotonic()
            assert (await self._client.get("/livez")).status_code == 200
            self.health_seconds.append(time.monotonic() - health)
            await asyncio.sleep(0.02)
        await asyncio.gather(*asked)

    async def _ask(self) -> None:
        answer = await self._client.post("/predict", json=ROW)
        self.codes[answer.status_code] += 1
        if answer.status_code == 200:
            assert answer.json() == {"y_pred": EXPECTED}
        else:
            assert int(answer.headers["retry-after"]) >= 1
            assert list(answer.json()) == ["error"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Serving]:
    """The stumps, one by one."""
    folder: Path = tmp_path_factory.mktemp("stumps")
    with processes.serving(folder, STUMPS, BATCH_MAX_SIZE="1", ACCELERATE="Off") as serving:
        yield serving


def _client(server: processes.Serving) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, limits=httpx.Limits(max_connections=500), timeout=60)


async def _peak(client: httpx.AsyncClient, seconds: float) -> float:
    """How many requests a second are answered when there are always a few, and never too many."""
    until, answered = time.monotonic() + seconds, 0

    async def ask_on() -> None:
        nonlocal answered
        while time.monotonic() < until:
            assert (await client.post("/predict", json=ROW)).status_code == 200
            answered += 1

    await asyncio.gather(*(ask_on() for _ in range(4)))
    return answered / seconds


def test_five_times_the_load_is_refused_cleanly_and_takes_little_from_the_rest(
    server: processes.Serving,
) -> None:
    async def scenario() -> tuple[float, Load, float]:
        async with _client(server) as client:
            peak = await _peak(client, 2.0)
            load = Load(client)
            started = time.monotonic()
            await load.send(5 * peak, SECONDS)
            return peak, load, time.monotonic() - started

    before = server.rss_bytes
    peak, load, took_seconds = asyncio.run(scenario())
    assert set(load.codes) == {200, 429}
    # The long form of this, with the machine to itself, is in the torture suite and asks for nine tenths.
    assert load.codes[200] / took_seconds > peak / 2
    assert statistics.median(load.health_seconds) < 0.25
    assert server.rss_bytes - before < 100 * 1024**2
    assert server.predict(ROW["X"]) == EXPECTED


def test_where_requests_may_share_a_call_the_same_load_is_no_overload(
    server: processes.Serving, tmp_path: Path
) -> None:
    async def ask(client: httpx.AsyncClient) -> int:
        return (await client.post("/predict", json=ROW)).status_code

    async def scenario(sharing: processes.Serving) -> list[int]:
        async with _client(sharing) as client:
            return await asyncio.gather(*(ask(client) for _ in range(200)))

    with processes.serving(tmp_path, STUMPS, ACCELERATE="Off") as sharing:
        assert set(asyncio.run(scenario(sharing))) == {200}
        lines = sharing.client.get("/metrics").text.splitlines()
        calls = next(
            float(line.split()[1])
            for line in lines
            if line.startswith('modelyard_call_requests_count{mode="worker"}')
        )
        assert calls < 100
