"""Cheap predictions run inline, slow ones in the thread, and the queue has an end."""

import asyncio
import threading

import pytest

from modelyard_runtime import errors, scheduling
from modelyard_runtime.scheduling import Cost


def test_two_measurements_give_the_cost_of_a_call_and_of_a_row() -> None:
    cost = scheduling.measured(1, 0.000_3, 101, 0.001_3)
    assert cost.estimate(1) == pytest.approx(0.000_3)
    assert cost.estimate(101) == pytest.approx(0.001_3)
    assert cost.is_inline(50)
    assert not cost.is_inline(101)


def test_measurements_that_contradict_each_other_are_no_negative_cost() -> None:
    assert scheduling.measured(1, 0.002, 64, 0.001) == Cost(0.002, 0.0)


def test_an_unknown_model_is_slow_until_it_has_shown_otherwise() -> None:
    cost = scheduling.UNKNOWN
    assert not cost.is_inline(1)
    for _ in range(20):
        cost = scheduling.updated(cost, 1, 0.000_2)
    assert cost.is_inline(1)


def test_a_model_that_holds_up_the_loop_twice_leaves_it() -> None:
    cost = scheduling.updated(Cost(0.000_2, 0.0), 1, 0.003)
    assert cost.is_inline(1)
    assert not scheduling.updated(cost, 1, 0.003).is_inline(1)


def test_a_hiccup_of_the_machine_is_forgiven() -> None:
    cost = scheduling.updated(Cost(0.000_2, 0.0), 1, 0.5)
    cost = scheduling.updated(cost, 1, 0.000_2)
    cost = scheduling.updated(cost, 1, 0.5)
    assert cost.is_inline(1)


def test_one_slow_measurement_in_the_thread_does_not_count_in_full() -> None:
    cost = scheduling.updated(Cost(0.005, 0.0), 1, 0.5)
    assert 0.005 < cost.estimate(1) < 0.02


def test_the_thread_gives_results_and_errors() -> None:
    def fail() -> None:
        raise errors.InvalidInput("no")

    async def scenario() -> None:
        worker = scheduling.Worker(max_waiting=5)
        assert await worker.run(threading.current_thread, 0.01) is not threading.main_thread()
        with pytest.raises(errors.InvalidInput, match="no"):
            await worker.run(fail, 0.01)
        assert worker.waiting == 0

    asyncio.run(scenario())


def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    async def scenario() -> None:
        worker = scheduling.Worker(max_waiting=3)
        gate = threading.Event()
        held = [asyncio.ensure_future(worker.run(gate.wait, 2.0)) for _ in range(3)]
        await asyncio.sleep(0)  # lets the three take their places
        with pytest.raises(errors.Overloaded) as caught:
            await worker.run(gate.wait, 2.0)
        assert caught.value.retry_after_seconds == 6
        gate.set()
        assert await asyncio.gather(*held) == [True] * 3

    asyncio.run(scenario())


def test_a_caller_that_went_away_is_not_computed_for() -> None:
    async def scenario() -> None:
        worker = scheduling.Worker(max_waiting=3)
        gate = threading.Event()
        computed: list[int] = []
        first = asyncio.ensure_future(worker.run(gate.wait, 0.01))
        second = asyncio.ensure_future(worker.run(lambda: computed.append(1), 0.01))
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        await first
        await worker.run(lambda: None, 0.01)
        assert computed == []
        assert worker.waiting == 0

    asyncio.run(scenario())
