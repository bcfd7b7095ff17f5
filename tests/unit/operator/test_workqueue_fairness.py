"""`workqueue`: namespaces take turns, whatever one of them asks for."""

from modelyard_operator import metrics, workqueue
from tests.support import virtual_time
from tests.unit.operator.test_workqueue import recording, work


def test_one_namespaces_thousands_do_not_keep_another_waiting() -> None:
    async def story() -> None:
        visits: list[tuple[float, workqueue.Key]] = []
        queue = workqueue.WorkQueue(recording(visits), metrics.Metrics())
        for number in range(1000):
            queue.add(("loud", f"model-{number}"))
        for name in ("a", "b"):
            queue.add(("quiet", name))
        queue.add_after(("late", "c"), 0)
        await work(queue, 1, workers=1)
        order = [key for _, key in visits]
        assert len(order) == 1003
        assert order.index(("quiet", "a")) <= 2
        assert order.index(("quiet", "b")) <= 5
        assert order[0] == ("loud", "model-0")
        assert [key for key in order if key[0] == "loud"] == [("loud", f"model-{n}") for n in range(1000)]

    virtual_time.run(story())
