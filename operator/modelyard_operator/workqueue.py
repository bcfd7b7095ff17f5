"""The queue between events and reconciles: one key at a time and none twice, namespaces in turn, patience after errors.

`handlers` and `__main__` add keys, workers take them and call `reconcile`. The only module that turns errors into a
requeue:
    Waiting     again after the seconds it names
    Stalled     not again before the next event or resync
    otherwise   again after 1 s, doubling up to 5 min, with jitter; a change of the resource begins at 1 s again
It knows neither Kubernetes nor what a reconcile does.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Awaitable, Callable

from modelyard_operator import errors, metrics

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace, name
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 300.0
_MOST_DOUBLINGS = 16  # enough to reach the last retry; keeps the power small after a day of errors


class WorkQueue:
    """Keys that are due, keys that will be, and the workers on them; all in one event loop."""

    def __init__(self, reconcile: Callable[[Key], Awaitable[None]], numbers: metrics.Metrics) -> None:
        self._reconcile = reconcile
        self._metrics = numbers
        self._due: dict[Key, float] = {}  # key -> since when
        self._lines: dict[
            str, dict[Key, None]
        ] = {}  # namespace -> its due keys in order; the namespaces take turns
        self._timer: asyncio.TimerHandle | None = None
        self._delayed: list[tuple[float, Key]] = []
        self._delayed_until: dict[Key, float] = {}
        self._in_flight: dict[Key, float] = {}
        self._again: set[Key] = set()  # added while in flight
        self._failures: dict[Key, int] = {}
        self._last_done = 0.0
        self._waiters: list[asyncio.Future[None]] = []  # idle workers
        self._is_stopping = False

    def add(self, key: Key) -> None:
        """Make a key due now; one that is in flight is visited once more afterwards."""
        self._metrics.queue_adds.inc()
        self._delayed_until.pop(key, None)
        if key in self._in_flight:
            self._again.add(key)
        elif key not in self._due:
            self._due[key] = self._time()
            self._lines.setdefault(key[0], {})[key] = None
            self._metrics.queue_depth.set(len(self._due))
            self._wake_one()

    def renew(self, key: Key) -> None:
        """Make a key due now because its resource has changed: how often the last one failed says nothing of it."""
        self._failures.pop(key, None)
        self.add(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Make a key due in a while; an earlier time that is set already stays."""
        when = self._time() + seconds
        if key in self._due or self._delayed_until.get(key, when + 1) <= when:
            return
        self._delayed_until[key] = when
        heapq.heappush(self._delayed, (when, key))
        if self._delayed[0] == (when, key):
            self._set_timer()

    async def run(self, workers: int) -> None:
        """Work until `stop`, then finish what is in flight."""
        # What came before has waited for us to lead, not for a worker.
        self._due = dict.fromkeys(self._due, self._time())
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(), name=f"reconcile worker {number}")

    def stop(self) -> None:
        """Let the workers end after what they have in hand."""
        self._is_stopping = True
        while self._waiters:
            self._wake_one()

    def oldest_seconds(self) -> float:
        """Give the age of the oldest key that is due or in flight: how long somebody has been waiting."""
        since = min((*self._due.values(), *self._in_flight.values()), default=self._time())
        return self._time() - since

    def stuck_seconds(self) -> float:
        """Give for how long nothing has got done although there was something to do, or one key has been in flight."""
        now = self._time()
        waiting = min(self._due.values(), default=now)
        return now - min(*self._in_flight.values(), max(self._last_done, waiting), now)

    async def _work(self) -> None:
        while (key := await self._next()) is not None:
            started = self._time()
            try:
                await self._visit(key)
            finally:
                self._metrics.reconcile_seconds.observe(self._time() - started)
                self._done(key)

    async def _visit(self, key: Key) -> None:
        result = "success"
        try:
            await self._reconcile(key)
            self._failures.pop(key, None)
        except errors.Waiting as waiting:
            result = "waiting"
            self._failures.pop(key, None)
            self.add_after(key, waiting.retry_after_seconds)
        except errors.Stalled as stalled:
            result = "stalled"
            self._failures.pop(key, None)
            keys = {"namespace": key[0], "model_deployment": key[1], "reason": stalled.reason}
            logger.info("stalled", extra=keys)
        except Exception as error:  # the outermost loop: one resource must never stop the others
            result = "error"
            self._metrics.reconcile_errors.labels(_reason(error)).inc()
            self._retry(key, error)
        self._metrics.reconciles.labels(result).inc()

    def _retry(self, key: Key, error: Exception) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        seconds = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(failures - 1, _MOST_DOUBLINGS))
        seconds *= random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, guards nothing
        if isinstance(error, errors.ClusterError) and error.retry_after_seconds is not None:
            seconds = max(seconds, error.retry_after_seconds)
        keys = {"namespace": key[0], "model_deployment": key[1], "retry_seconds": round(seconds, 1)}
        if isinstance(error, errors.ClusterError):
            logger.warning("API call failed, will retry", extra={**keys, "error": str(error)})
        else:
            logger.error("reconcile failed, will retry", extra=keys, exc_info=error)
        self._metrics.queue_retries.inc()
        self.add_after(key, seconds)

    async def _next(self) -> Key | None:
        """Wait for a key; None when the queue is stopping."""
        while True:
            if self._is_stopping:
                return None
            if self._due:
                return self._take()
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _take(self) -> Key:
        """Give the key that has waited longest in the namespace whose turn it is.

        The namespaces take turns, so that one author's ten thousand resources don't keep the others waiting.
        """
        namespace, line = next(iter(self._lines.items()))
        key = next(iter(line))
        del line[key], self._lines[namespace]
        if line:
            self._lines[namespace] = line  # behind the others
        since = self._due.pop(key)
        self._in_flight[key] = self._time()
        self._metrics.queue_depth.set(len(self._due))
        self._metrics.queue_seconds.observe(self._time() - since)
        return key

    def _promote(self) -> None:
        """Make due what has waited long enough."""
        now = self._time()
        while self._delayed and self._delayed[0][0] <= now:
            when, key = heapq.heappop(self._delayed)
            if self._delayed_until.get(key) == when:  # not overtaken by an earlier time or by `add`
                del self._delayed_until[key]
                self.add(key)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delayed:
            self._timer = asyncio.get_running_loop().call_at(self._delayed[0][0], self._promote)

    def _done(self, key: Key) -> None:
        del self._in_flight[key]
        self._last_done = self._time()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _time(self) -> float:
        return asyncio.get_running_loop().time()


def _reason(error: Exception) -> str:
    """Give an error's name for /metrics: few, and without anything from outside."""
    if type(error) is errors.ClusterError:
        return f"HTTP{error.status}" if error.status else "NoAnswer"
    return type(error).__name__
