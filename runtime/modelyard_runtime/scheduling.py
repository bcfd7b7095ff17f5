"""Where a prediction runs: at once on the event loop, or in the one worker thread.

Called by `service`. A thread costs a third of a millisecond per request, and a slow prediction on the loop costs every
other request its whole duration, health answers first: so the cheap run inline and the slow in the thread, decided per
request from what predictions have cost so far. The cost estimate is pure; `Worker` owns the thread.
"""

import asyncio
import dataclasses
import queue
import threading
from collections.abc import Callable
from typing import Any

from modelyard_runtime import errors

INLINE_SECONDS = 0.001  # estimated cost up to which a prediction runs on the event loop
LEAVE_INLINE_SECONDS = 0.002  # a prediction on the event loop that took longer is one too many
STRIKES = 2  # that many of them in a row are the model's doing; one may be the machine's
_WEIGHT = 0.2  # of the newest measurement in the running estimate


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What a prediction costs: `fixed_seconds` per call and `row_seconds` per row.

    `strikes` counts the last predictions on the event loop that held it up.
    """

    fixed_seconds: float
    row_seconds: float
    strikes: int = 0

    def estimate(self, rows: int) -> float:
        """Gives the seconds a prediction of `rows` rows will probably take."""
        return self.fixed_seconds + self.row_seconds * rows

    def is_inline(self, rows: int) -> bool:
        """Says whether a prediction of `rows` rows may run on the event loop."""
        return self.estimate(rows) <= INLINE_SECONDS


# Nothing measured yet: slow until shown otherwise.
UNKNOWN = Cost(fixed_seconds=0.005, row_seconds=0.0)


def measured(rows_few: int, seconds_few: float, rows_many: int, seconds_many: float) -> Cost:
    """Gives the cost from two warm-up measurements of different size."""
    row_seconds = max(seconds_many - seconds_few, 0.0) / (rows_many - rows_few)
    return Cost(max(seconds_few - row_seconds * rows_few, 0.0), row_seconds)


def updated(cost: Cost, rows: int, seconds: float) -> Cost:
    """Gives the cost after one more measurement.

    Measurements count slowly, since the machine has moods; but a model that repeatedly held up the event loop is
    believed at once.
    """
    expected = max(cost.estimate(rows), 1e-9)
    ratio = seconds / expected
    held_up_the_loop = seconds > LEAVE_INLINE_SECONDS and cost.is_inline(rows)
    strikes = cost.strikes + 1 if held_up_the_loop else 0
    if held_up_the_loop and strikes < STRIKES:
        return dataclasses.replace(cost, strikes=strikes)
    factor = ratio if held_up_the_loop else 1.0 + _WEIGHT * (min(max(ratio, 0.1), 10.0) - 1.0)
    return Cost(cost.fixed_seconds * factor, cost.row_seconds * factor)


class Worker:
    """One thread that takes predictions in the order they came, and refuses what exceeds its queue.

    All methods are called on the event loop.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.waiting = 0

    async def run(self, job: Callable[[], Any], expected_seconds: float) -> Any:
        """Gives the job's result; raises what it raises, or `Overloaded` when too many wait."""
        if self.waiting >= self._max_waiting:
            raise errors.Overloaded(
                f"{self.waiting} requests are waiting for this model; try again later",
                retry_after_seconds=max(1, round(self.waiting * expected_seconds)),
            )
        loop = asyncio.get_running_loop()
        if self._thread is None:
            # A daemon: a prediction that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, args=(loop,), name="predict", daemon=True)
            self._thread.start()
        future: asyncio.Future[Any] = loop.create_future()
        self.waiting += 1
        try:
            self._jobs.put((job, future))
            return await future
        finally:
            self.waiting -= 1

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            job, future = self._jobs.get()
            if future.cancelled():
                continue
            try:
                result = job()
            except BaseException as error:
                _deliver(loop, future, None, error)
            else:
                _deliver(loop, future, result, None)


def _deliver(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], result: Any, error: BaseException | None
) -> None:
    def settle() -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
