"""Brings requests to the model: all that are there share a call, and none waits for one that isn't.

`service` has one `Dispatcher` for its model. Whatever was parsed in one turn of the event loop is predicted together,
on the loop while the model is fast. A slow model gets the one worker thread; what arrives while that is busy makes up
its next call. No timer, no window, no setting to tune. Everything but the thread's own predict happens on the event
loop, so there are no locks.
"""

import asyncio
import queue
import resource
import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import Protocol

from modelyard_runtime import batching, errors, metrics, scheduling
from modelyard_runtime.formats import model as models


class Answer(Protocol):
    """Where the answer to a request goes, as to a future; called on the event loop."""

    def done(self) -> bool:
        """Says whether nobody waits any more."""
        ...

    def set_result(self, result: models.Tensors, /) -> None:
        """Takes the wanted outputs; must not raise."""
        ...

    def set_exception(self, exception: Exception, /) -> None:
        """Takes what the model raised; must not raise."""
        ...


class Pending:
    """A request and where its answer goes."""

    __slots__ = ("answer", "bytes", "is_waiting", "request")

    def __init__(self, request: models.Request, answer: Answer) -> None:
        self.request = request
        self.answer = answer
        self.bytes = 0
        for array in request.inputs.values():
            self.bytes += array.nbytes
        self.is_waiting = True


_Batch = list[Pending]


class Dispatcher:
    """The way to one model; its methods are called on one event loop."""

    def __init__(
        self, model: models.Model, cost: scheduling.Cost, max_rows: int, counters: metrics.Metrics
    ) -> None:
        self._model = model
        self._metrics = counters
        self._shares = model.signature.is_row_wise and max_rows > 1
        self._max_rows = max_rows if self._shares else 1
        self._groups: dict[Hashable, deque[Pending]] = {}
        self._waiting = scheduling.Waiting(self._max_rows)
        self._flush_is_due = False
        self._jobs: queue.SimpleQueue[_Batch] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy_until: float | None = None  # the thread's call will probably be over; None when it is idle
        self.cost = cost

    @property
    def waiting(self) -> int:
        """How many requests wait to be predicted."""
        return self._waiting.requests

    async def predict(self, request: models.Request) -> models.Tensors:
        """Gives the wanted outputs.

        Raises what the model raises, `Overloaded` when too much is waiting and `DeadlineExceeded` when the caller's
        time is over first. Cancelled, it leaves the queue.
        """
        answer: asyncio.Future[models.Tensors] = asyncio.get_running_loop().create_future()
        pending = self.submit(request, answer)
        try:
            if request.deadline is None:
                return await answer
            return await self._in_time(answer, request.deadline)
        finally:
            self.withdraw(pending)

    def submit(self, request: models.Request, answer: Answer) -> Pending:
        """Puts a request into the queue; `answer` gets the outputs or what the model raised.

        Raises `Overloaded` when too much is waiting and `DeadlineExceeded` when the caller's time is over already.
        """
        self._admit(request)
        pending = Pending(request, answer)
        self._enqueue(pending)
        if not self._flush_is_due and self._busy_until is None:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)
        return pending

    def withdraw(self, pending: Pending) -> None:
        """Takes a request out of the queue if it is still there."""
        if pending.is_waiting:
            self._forget(pending)

    async def _in_time(self, answer: "asyncio.Future[models.Tensors]", deadline: float) -> models.Tensors:
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await answer
        except TimeoutError:
            raise errors.DeadlineExceeded(
                "the request's deadline passed before the model had answered"
            ) from None

    def _admit(self, request: models.Request) -> None:
        """Raises when it makes no sense to let the request wait."""
        if request.deadline is not None and request.deadline <= time.monotonic():
            raise errors.DeadlineExceeded("the request's deadline had passed when it arrived")
        if not self._waiting.requests:
            return
        left = 0.0 if self._busy_until is None else max(self._busy_until - time.monotonic(), 0.0)
        refusal = self._waiting.refusal(self.cost, left)
        if refusal is not None:
            raise refusal

    def _enqueue(self, pending: Pending) -> None:
        # Where requests don't share calls, all are one line and are taken one by one.
        group = batching.key(pending.request) if self._shares else None
        line = self._groups.get(group)
        if line is None:
            line = self._groups[group] = deque()
        line.append(pending)
        waiting = self._waiting
        waiting.requests += 1
        waiting.rows += pending.request.rows
        waiting.bytes += pending.bytes

    def _forget(self, pending: Pending) -> None:
        pending.is_waiting = False
        self._waiting.requests -= 1
        self._waiting.rows -= pending.request.rows
        self._waiting.bytes -= pending.bytes

    def _flush(self) -> None:
        """Predicts what is waiting, for about as long as the event loop can be without us."""
        self._flush_is_due = False
        until = time.perf_counter() + scheduling.INLINE_SECONDS
        while self._groups and self._busy_until is None:
            batch = self._take()
            if not batch:
                continue
            rows = sum(pending.request.rows for pending in batch)
            if not self.cost.is_inline(rows):
                self._hand_over(batch, rows)
                return
            self._run(batch)
            if self._groups and time.perf_counter() > until:
                self._flush_is_due = True
                asyncio.get_running_loop().call_soon(self._flush)
                return

    def _take(self) -> _Batch:
        """Takes the next call's requests from the line that has waited longest; its rest goes to the end."""
        group = next(iter(self._groups))
        line = self._groups.pop(group)
        batch: _Batch = []
        rows, limit = 0, 0
        while line:
            pending = line[0]
            if not pending.is_waiting:
                line.popleft()  # whoever asked has gone
                continue
            if not batch:
                limit = self.cost.rows_to_share(pending.request.rows, self._max_rows)
            elif rows + pending.request.rows > limit:
                break
            line.popleft()
            rows += pending.request.rows
            self._forget(pending)
            batch.append(pending)
        if line:
            self._groups[group] = line
        return batch

    def _run(self, batch: _Batch) -> None:
        outcomes, took = self._compute(batch)
        self._settle(batch, outcomes, took, "inline")

    def _compute(self, batch: _Batch) -> tuple[list[batching.Outcome], scheduling.Took]:
        before, started = resource.getrusage(resource.RUSAGE_THREAD), time.perf_counter()
        outcomes = batching.answer(self._model, [pending.request for pending in batch])
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_THREAD)
        # One call of the kernel for both: it costs as much as a clock of its own.
        cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return outcomes, scheduling.Took(seconds, cpu_seconds, after.ru_nivcsw != before.ru_nivcsw)

    def _hand_over(self, batch: _Batch, rows: int) -> None:
        self._busy_until = time.monotonic() + self.cost.estimate(rows)
        if self._thread is None:
            # A daemon: a prediction that hangs must not keep the process from ending.
            self._thread = threading.Thread(
                target=self._work, args=(asyncio.get_running_loop(),), name="predict", daemon=True
            )
            self._thread.start()
        self._jobs.put(batch)

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """The thread."""
        while True:
            batch = self._jobs.get()
            outcomes, took = self._compute(batch)
            if loop.is_closed():
                return
            loop.call_soon_threadsafe(self._take_over, batch, outcomes, took)

    def _take_over(self, batch: _Batch, outcomes: list[batching.Outcome], took: scheduling.Took) -> None:
        self._busy_until = None
        # The thread first: it computes while the loop writes the answers.
        self._flush()
        self._settle(batch, outcomes, took, "worker")

    def _settle(
        self, batch: _Batch, outcomes: list[batching.Outcome], took: scheduling.Took, mode: metrics.Mode
    ) -> None:
        rows, has_failed = 0, False
        for pending, outcome in zip(batch, outcomes, strict=True):
            rows += pending.request.rows
            has_failed = has_failed or isinstance(outcome, Exception)
            if pending.answer.done():
                continue
            if isinstance(outcome, Exception):
                pending.answer.set_exception(outcome)
            else:
                pending.answer.set_result(outcome)
        self._metrics.count_call(mode, len(batch), rows, took.seconds)
        self._metrics.set_queue(self._waiting.requests)
        if not has_failed:  # a failure is no measure: it may come at once, or after several attempts
            self.cost = scheduling.learned(self.cost, rows, took, mode == "inline")
