"""`workqueue`: one key in flight at a time, no key twice, and what each kind of error means for the next visit."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from modelyard_operator import errors, metrics, workqueue
from tests.support import virtual_time

A, B = ("default", "a"), ("default", "b")
Reconcile = Callable[[workqueue.Key], Awaitable[None]]


async def work(queue: workqueue.WorkQueue, seconds: float, workers: int = 2) -> None:
    """Let the queue work for a while."""
    working = asyncio.create_task(queue.run(workers))
    await asyncio.sleep(seconds)
    queue.stop()
    await working


def recording(visits: list[tuple[float, workqueue.Key]], *outcomes: Exception | None) -> Reconcile:
    """Give a reconcile that ends in one outcome after the other, and well when there are no more."""
    pending = list(outcomes)

    async def reconcile(key: workqueue.Key) -> None:
        visits.append((asyncio.get_running_loop().time(), key))
        outcome = pending.pop(0) if pending else None
        if outcome is not None:
            raise outcome

    return reconcile


def test_a_key_that_is_added_twice_is_visited_once() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(recording(visits), metrics.Metrics())
        for key in (A, B, A, A):
            queue.add(key)
        await work(queue, 1)
        assert [key for _, key in visits] == [A, B]

    virtual_time.run(story())


def test_a_key_is_never_in_flight_twice_and_what_came_meanwhile_is_visited_afterwards() -> None:
    async def story() -> None:
        running: list[workqueue.Key] = []
        visits: list[workqueue.Key] = []

        async def reconcile(key: workqueue.Key) -> None:
            assert key not in running
            running.append(key)
            visits.append(key)
            if len(visits) == 1:
                queue.add(key)
                queue.add(key)
            await asyncio.sleep(1)
            running.remove(key)

        queue = workqueue.WorkQueue(reconcile, metrics.Metrics())
        queue.add(A)
        await work(queue, 10)
        assert visits == [A, A]

    virtual_time.run(story())


def test_different_keys_are_visited_at_the_same_time() -> None:
    async def story() -> None:
        both = asyncio.Barrier(2)

        async def reconcile(_key: workqueue.Key) -> None:
            await both.wait()

        queue = workqueue.WorkQueue(reconcile, metrics.Metrics())
        queue.add(A)
        queue.add(B)
        await work(queue, 1)
        assert not both.broken
        assert queue.oldest_seconds() == 0

    virtual_time.run(story())


def test_waiting_comes_back_after_its_own_time() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(
            recording(visits, errors.Waiting("RollingOut", "", 2.0)), metrics.Metrics()
        )
        queue.add(A)
        await work(queue, 100)
        assert visits == [(0, A), (2, A)]

    virtual_time.run(story())


def test_stalled_waits_for_the_next_event() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(recording(visits, errors.Stalled("NameTaken", "")), metrics.Metrics())
        queue.add(A)
        asyncio.get_running_loop().call_later(50, queue.add, A)
        await work(queue, 100)
        assert visits == [(0, A), (50, A)]

    virtual_time.run(story())


def test_an_event_overtakes_a_retry() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(
            recording(visits, errors.Waiting("RollingOut", "", 60.0)), metrics.Metrics()
        )
        queue.add(A)
        asyncio.get_running_loop().call_later(5, queue.add, A)
        await work(queue, 100)
        assert visits == [(0, A), (5, A)]

    virtual_time.run(story())


def test_the_earlier_of_two_times_counts() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(recording(visits), metrics.Metrics())
        queue.add_after(A, 20)
        queue.add_after(A, 10)
        queue.add_after(A, 30)
        await work(queue, 100)
        assert visits == [(10, A)]

    virtual_time.run(story())


def test_errors_are_retried_with_growing_patience_and_success_forgets_them() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        outcomes: list[Exception | None] = [errors.ClusterError("get", 500, "down")] * 12
        outcomes += [None, ValueError("a bug")]
        queue = workqueue.WorkQueue(recording(visits, *outcomes), metrics.Metrics())
        queue.add(A)
        asyncio.get_running_loop().call_later(5000, queue.add, A)
        await work(queue, 6000)
        times = [when for when, _key in visits]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        expected = [min(300.0, 2.0**attempt) for attempt in range(12)]
        for gap, nominal in zip(gaps, expected, strict=False):
            assert 0.75 * nominal <= gap <= 1.25 * nominal
        assert 0.75 <= gaps[-1] <= 1.25  # after a success the patience begins anew

    virtual_time.run(story())


def test_a_change_of_the_resource_does_not_wait_for_what_failed_before_it() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(recording(visits, *[ValueError("a bug")] * 9), metrics.Metrics())
        queue.add(A)
        asyncio.get_running_loop().call_later(50, queue.renew, A)
        await work(queue, 60)
        after = [when for when, _key in visits if when >= 50]
        assert 0.75 <= after[1] - after[0] <= 1.25

    virtual_time.run(story())


def test_the_api_servers_own_wish_to_wait_is_granted() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        busy = errors.ClusterError("get", 429, "too many requests", retry_after_seconds=30)
        queue = workqueue.WorkQueue(recording(visits, busy), metrics.Metrics())
        queue.add(A)
        await work(queue, 100)
        assert visits == [(0, A), (30, A)]

    virtual_time.run(story())


def test_stopping_lets_what_is_in_flight_finish_and_starts_nothing_new() -> None:
    async def story() -> None:
        finished: list[workqueue.Key] = []

        async def reconcile(key: workqueue.Key) -> None:
            await asyncio.sleep(5)
            finished.append(key)

        queue = workqueue.WorkQueue(reconcile, metrics.Metrics())
        queue.add(A)
        queue.add(B)
        await work(queue, 1, workers=1)
        assert finished == [A]

    virtual_time.run(story())


def test_the_age_of_the_oldest_key_tells_a_queue_that_stands_still() -> None:
    async def story() -> None:
        async def reconcile(_key: workqueue.Key) -> None:
            await asyncio.sleep(1000)

        queue = workqueue.WorkQueue(reconcile, metrics.Metrics())
        queue.add(A)
        working = asyncio.create_task(queue.run(1))
        await asyncio.sleep(400)
        assert queue.oldest_seconds() == 400
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    virtual_time.run(story())


def test_results_are_counted() -> None:
    async def story() -> None:
        numbers = metrics.Metrics()
        outcomes = [errors.Waiting("RollingOut", "", 1), errors.Stalled("NameTaken", "")]
        queue = workqueue.WorkQueue(recording([], *outcomes), numbers)
        queue.add(A)
        await work(queue, 10)
        sample = numbers.registry.get_sample_value
        assert sample("modelyard_operator_reconcile_total", {"result": "waiting"}) == 1
        assert sample("modelyard_operator_reconcile_total", {"result": "stalled"}) == 1
        assert sample("workqueue_depth") == 0

    virtual_time.run(story())
