"""Cheap predictions run on the event loop, slow ones in the thread, and the queue has an end."""

import pytest

from modelyard_runtime import scheduling
from modelyard_runtime.scheduling import Cost, Took, Waiting


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


def test_a_call_on_the_loop_is_not_made_so_large_that_it_may_not() -> None:
    cost = Cost(0.000_5, 0.000_1)
    assert cost.rows_to_share(1, 64) == 5
    assert cost.rows_to_share(1, 3) == 3
    assert cost.rows_to_share(100, 64) == 64  # in the thread anyway
    assert Cost(0.000_5, 0.0).rows_to_share(1, 64) == 64


def test_what_the_machine_does_is_not_held_against_the_model() -> None:
    cost = Cost(0.000_3, 0.0)
    for _ in range(20):
        cost = scheduling.learned(cost, 1, Took(0.05, 0.000_3, was_stopped=True), is_inline=True)
        cost = scheduling.learned(cost, 1, Took(0.01, 0.000_3, was_stopped=False), is_inline=False)
    assert cost.estimate(1) == pytest.approx(0.000_3)
    assert cost.is_inline(1)


def test_a_model_that_waits_for_others_leaves_the_loop_and_stays_away() -> None:
    cost, took = Cost(0.000_3, 0.0), Took(0.05, 0.000_1, was_stopped=False)
    while cost.is_inline(1):
        cost = scheduling.learned(cost, 1, took, is_inline=True)
    assert cost.estimate(1) == pytest.approx(0.05)
    for _ in range(100):
        cost = scheduling.learned(cost, 1, took, is_inline=False)
        assert not cost.is_inline(1)


WAITING: dict[str, tuple[Waiting, Cost, float, int | None]] = {
    "a few may wait however slow it is": (Waiting(1, 7, 7), Cost(100.0, 0.0), 50.0, None),
    "work for a moment": (Waiting(1, 40, 40), Cost(0.1, 0.0), 0.0, None),
    "work for longer than anybody waits": (Waiting(1, 60, 60), Cost(0.1, 0.0), 0.0, 3),
    "work that a running call adds to": (Waiting(1, 40, 40), Cost(0.1, 0.0), 8.0, 6),
    "as much, in calls that are shared": (Waiting(64, 60, 60), Cost(0.1, 0.0), 0.0, None),
    "large requests, which don't share": (Waiting(64, 60, 60_000), Cost(0.1, 0.0), 0.0, 3),
    "rows that cost": (Waiting(64, 60, 60), Cost(0.0, 0.1), 0.0, 3),
    "too many, however fast": (Waiting(64, scheduling.MAX_WAITING, 1), Cost(0.0, 0.0), 0.0, 1),
    "too many bytes, however few": (Waiting(1, 1, 1, scheduling.MAX_WAITING_BYTES), Cost(0.0, 0.0), 0.0, 1),
}


@pytest.mark.parametrize("case", WAITING)
def test_the_queue_ends_where_waiting_makes_no_sense(case: str) -> None:
    waiting, cost, running_seconds, retry_after_seconds = WAITING[case]
    refusal = waiting.refusal(cost, running_seconds)
    assert (refusal and refusal.retry_after_seconds) == retry_after_seconds
