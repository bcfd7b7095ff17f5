"""More requests than the model can answer: it goes on answering as many as it can, and refuses the others cleanly."""

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.runtime import processes
from tests.support import overload


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[processes.Serving]:
    """The stumps, one by one."""
    folder: Path = tmp_path_factory.mktemp("stumps")
    with processes.serving(folder, overload.STUMPS, **overload.SETTINGS) as serving:
        yield serving


def test_five_times_the_load_is_refused_cleanly_and_takes_little_from_the_rest(
    server: processes.Serving,
) -> None:
    before = server.rss_bytes
    account = asyncio.run(overload.take_turns(server.url, 2, 2.0, 3.0))
    assert set(account.codes) == {200, 429}
    # A client that gets no processor for the ten seconds a head may take is shown the door; the long form allows none.
    assert len(account.cut) <= account.codes.total() / 50, account.cut
    # The long form of this, on a core of its own, is in the torture suite and asks for nine tenths.
    assert statistics.mean(account.ratios) > 0.5, account.ratios
    # Health does not queue with those who wait for the model.
    assert statistics.median(account.health_seconds) < statistics.median(account.seconds[200]) / 4
    assert server.rss_bytes - before < 100 * 1024**2
    assert server.predict(overload.ROW["X"]) == overload.EXPECTED


def test_where_requests_may_share_a_call_the_same_load_is_no_overload(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> int:
        return (await client.post("/predict", json=overload.ROW)).status_code

    async def scenario(sharing: processes.Serving) -> list[int]:
        limits = httpx.Limits(max_connections=500)
        async with httpx.AsyncClient(base_url=sharing.url, limits=limits, timeout=60) as client:
            return await asyncio.gather(*(ask(client) for _ in range(200)))

    with processes.serving(tmp_path, overload.STUMPS, ACCELERATE="Off") as sharing:
        assert set(asyncio.run(scenario(sharing))) == {200}
        lines = sharing.client.get("/metrics").text.splitlines()
        calls = next(
            float(line.split()[1])
            for line in lines
            if line.startswith('modelyard_call_requests_count{mode="worker"}')
        )
        assert calls < 100
