"""What the queue tells of itself: whether it is stuck, how old its keys are, what failed."""

import asyncio

from modelyard_operator import errors, metrics, workqueue
from tests.support import virtual_time
from tests.unit.operator.test_workqueue import A, B, recording, work


def test_a_queue_that_works_is_not_stuck_however_much_waits() -> None:
    async def story() -> None:
        async def reconcile(_key: workqueue.Key) -> None:
            await asyncio.sleep(30)
            raise errors.ClusterError("read", 0, "no answer in time")

        queue = workqueue.WorkQueue(reconcile, metrics.Metrics())
        for number in range(100):
            queue.add(("default", str(number)))
        working = asyncio.create_task(queue.run(1))
        for _ in range(20):
            await asyncio.sleep(60)
            assert queue.stuck_seconds() <= 30
        assert queue.oldest_seconds() > 1000
        queue.stop()
        await working

    virtual_time.run(story())


def test_a_queue_is_stuck_when_nobody_works_or_one_visit_hangs() -> None:
    async def story() -> None:
        async def reconcile(key: workqueue.Key) -> None:
            await asyncio.sleep(10_000 if key == A else 1)

        queue = workqueue.WorkQueue(reconcile, metrics.Metrics())
        assert queue.stuck_seconds() == 0
        queue.add(B)
        await asyncio.sleep(400)
        assert queue.stuck_seconds() == 400
        working = asyncio.create_task(queue.run(2))
        await asyncio.sleep(2)
        assert queue.stuck_seconds() == 0
        queue.add(A)
        for _ in range(20):
            await asyncio.sleep(20)
            queue.add(B)
        assert queue.stuck_seconds() > 300
        working.cancel()

    virtual_time.run(story())


def test_what_waited_before_the_first_worker_came_is_as_young_as_the_workers() -> None:
    async def story() -> None:
        numbers = metrics.Metrics()
        queue = workqueue.WorkQueue(recording([]), numbers)
        queue.add(A)
        assert numbers.registry.get_sample_value("workqueue_depth") == 1
        await asyncio.sleep(1000)
        await work(queue, 1)
        assert numbers.registry.get_sample_value("workqueue_queue_duration_seconds_sum") == 0

    virtual_time.run(story())


def test_errors_are_counted_by_what_failed() -> None:
    async def story() -> None:
        numbers = metrics.Metrics()
        failures = (errors.ClusterError("a", 503, "b"), errors.ClusterError("a", 0, "b"), ValueError("c"))
        queue = workqueue.WorkQueue(recording([], *failures, errors.NotLeading("a")), numbers)
        queue.add(A)
        await work(queue, 100)
        for reason in ("HTTP503", "NoAnswer", "ValueError", "NotLeading"):
            labels = {"reason": reason}
            assert numbers.registry.get_sample_value("modelyard_operator_reconcile_errors_total", labels) == 1

    virtual_time.run(story())
