"""More requests than a model can answer, beside what it answers at its best: both by turns, so that their ratio holds.

`test_serve_overload.py` asks for seconds, the torture campaign `overload` for a minute. What the machine has left for
the server changes while others use it; the peak just before each overload says how much it was.
"""

import asyncio
import collections
import dataclasses
import time
from typing import Any

import httpx
import numpy as np
from sklearn.ensemble import BaggingRegressor
from sklearn.tree import DecisionTreeRegressor

# Hundreds of stumps: a small file, a small request, and a prediction that takes tens of milliseconds.
_X = np.random.default_rng(0).normal(size=(200, 4))
STUMPS = BaggingRegressor(DecisionTreeRegressor(max_depth=1), 300, random_state=0).fit(_X, _X[:, 0])
EXPECTED = STUMPS.predict(_X[:1]).tolist()
ROW = {"X": _X[:1].tolist()}
# One by one: where requests may share a call, this load would be none.
SETTINGS = {"BATCH_MAX_SIZE": "1", "ACCELERATE": "Off"}
TIMES = 5.0
_HEALTH_EVERY_SECONDS = 0.02
_MOST_PATIENCE_SECONDS = 60.0


@dataclasses.dataclass
class Account:
    """What came of it.

    Attributes:
        ratios: for each turn, good answers a second under overload as a part of the peak just before.
        peaks: for each turn, good answers a second at the best.
        codes: how many answers there were under overload, by code.
        seconds: how long each of them took, by code.
        health_seconds: how long health took to answer meanwhile.
        cut: what became of requests that got no answer.
    """

    ratios: list[float] = dataclasses.field(default_factory=list)
    peaks: list[float] = dataclasses.field(default_factory=list)
    codes: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    seconds: dict[int, list[float]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    health_seconds: list[float] = dataclasses.field(default_factory=list)
    cut: list[str] = dataclasses.field(default_factory=list)


async def take_turns(url: str, turns: int, peak_seconds: float, overload_seconds: float) -> Account:
    """Measure the peak and overload the server after it, several times over."""
    account = Account()
    limits = httpx.Limits(max_connections=500)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120) as client:
        for _ in range(turns):
            peak = await _peak(client, peak_seconds)
            good, started = account.codes[200], time.monotonic()
            await _overload(client, account, TIMES * peak, overload_seconds)
            answered = (account.codes[200] - good) / (time.monotonic() - started)
            account.peaks.append(peak)
            account.ratios.append(answered / peak)
    return account


async def _peak(client: httpx.AsyncClient, seconds: float) -> float:
    """Gives how many requests a second are answered when there are always a few, and never too many."""
    started, answered = time.monotonic(), 0

    async def ask_on() -> None:
        nonlocal answered
        while time.monotonic() < started + seconds:
            assert (await client.post("/predict", json=ROW)).status_code == 200
            answered += 1

    await asyncio.gather(*(ask_on() for _ in range(4)))
    return answered / (time.monotonic() - started)


async def _overload(client: httpx.AsyncClient, account: Account, per_second: float, seconds: float) -> None:
    """Asks at a constant rate, whatever becomes of it, and looks at the health meanwhile.

    For that long at least, and until something is refused: a server that is slower than it has learned lets more wait.
    """
    started, refused = time.monotonic(), account.codes[429]
    asked: list[asyncio.Task[Any]] = []
    while (passed := time.monotonic() - started) < seconds or account.codes[429] == refused:
        assert passed < seconds + _MOST_PATIENCE_SECONDS, f"nothing is refused of {len(asked)} requests"
        while len(asked) < passed * per_second:
            asked.append(asyncio.create_task(_ask(client, account)))
        health = time.monotonic()
        assert (await client.get("/livez")).status_code == 200
        account.health_seconds.append(time.monotonic() - health)
        await asyncio.sleep(_HEALTH_EVERY_SECONDS)
    await asyncio.gather(*asked)


async def _ask(client: httpx.AsyncClient, account: Account) -> None:
    started = time.monotonic()
    try:
        answer = await client.post("/predict", json=ROW)
    except httpx.TransportError as error:
        account.cut.append(f"{error!r} after {time.monotonic() - started:.1f} s")
        return
    account.codes[answer.status_code] += 1
    account.seconds[answer.status_code].append(time.monotonic() - started)
    if answer.status_code == 200:
        assert answer.json() == {"y_pred": EXPECTED}
    else:
        assert int(answer.headers["retry-after"]) >= 1
        assert list(answer.json()) == ["error"]
