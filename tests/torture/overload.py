"""The model server with five times the requests it can answer, for a minute, on a core of its own.

It goes on answering nearly as many as at its best, refuses the others cleanly and at once, keeps its health's word and
its memory. The short form is that of tests/integration/runtime/test_serve_overload.py with a shorter minute.
"""

import asyncio
import os
import statistics
import tempfile
from pathlib import Path

from tests.integration.runtime import processes
from tests.support import overload
from tests.torture import campaign

NAME = "overload"
_LEAST_RATIO = 0.9
_HEALTH_SECONDS = 0.05
_MEMORY_GROWTH_BYTES = 100 * 1024**2
_CASE = "five times what it can answer"


def run(order: campaign.Order) -> list[campaign.Row]:
    """Overload one server; give one row."""
    if order.case not in _CASE:
        return []
    cores = sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="modelyard-torture-") as folder,
        processes.serving(Path(folder), overload.STUMPS, **overload.SETTINGS) as served,
    ):
        for thread in Path(f"/proc/{served.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores[:1])
        os.sched_setaffinity(0, cores[1:] or cores)
        try:
            before = served.rss_bytes
            account = asyncio.run(
                overload.take_turns(served.url, 1, 5.0 if order.short else 10.0, 6.0 if order.short else 60.0)
            )
        finally:
            os.sched_setaffinity(0, cores)
        grown = served.rss_bytes - before
    figures = _figures(account, grown)
    problem = _problem(account, grown)
    print(f"  {'FAILED' if problem else 'ok'} {_CASE}: {problem} {figures}", flush=True)
    return [
        campaign.Row(_CASE, not problem, f"{problem} {figures}".strip(), campaign.replay(NAME, order, _CASE))
    ]


def _problem(account: overload.Account, grown_bytes: int) -> str:
    """Gives what does not hold, empty when all does."""
    if set(account.codes) != {200, 429}:
        return f"answers {dict(account.codes)}"
    if account.cut:
        return f"{len(account.cut)} requests got no answer, the first: {account.cut[0]}"
    if min(account.ratios) < _LEAST_RATIO:
        return f"goodput is {min(account.ratios):.0%} of the peak"
    if _p99(account.health_seconds) > _HEALTH_SECONDS:
        return f"health takes {_p99(account.health_seconds) * 1000:.0f} ms"
    return f"memory grew by {grown_bytes // 2**20} MiB" if grown_bytes > _MEMORY_GROWTH_BYTES else ""


def _figures(account: overload.Account, grown_bytes: int) -> str:
    told = [
        f"peak {account.peaks[0]:.0f}/s, goodput {account.ratios[0]:.0%} of it, answers {dict(account.codes)}",
        f"memory +{grown_bytes // 2**20} MiB",
    ]
    taken = {
        "health": account.health_seconds,
        "answers": account.seconds[200],
        "refusals": account.seconds[429],
    }
    for what, seconds in taken.items():
        if len(seconds) > 1:
            told.append(
                f"{what} p50 {statistics.median(seconds) * 1000:.0f} p99 {_p99(seconds) * 1000:.0f} ms"
            )
    return f"({', '.join(told)})"


def _p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[-1]
