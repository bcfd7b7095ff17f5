"""`turnstile`: one update at a time, nobody before everybody was looked at, nobody after a failure."""

import logging

import pytest

from modelyard_operator.turnstile import Key, Turnstile
from modelyard_operator.updates import State, Turn

A, B, C = ("ns", "a"), ("ns", "b"), ("other", "c")


class Operator:
    """A turnstile, and who was woken."""

    def __init__(self, *keys: Key) -> None:
        self.keys = list(keys)
        self.woken: list[Key] = []
        self.turnstile = Turnstile(lambda: self.keys, self.woken.append)

    def report(self, key: Key, state: State) -> Turn:
        return self.turnstile.report(key, state)


def test_nobody_passes_before_everybody_was_looked_at() -> None:
    operator = Operator(A, B)
    assert operator.report(A, State.DUE) is Turn.WAITING
    assert operator.woken == []
    operator.report(B, State.IDLE)
    assert operator.woken == [A]
    assert operator.report(A, State.DUE) is Turn.GRANTED


def test_the_one_whose_update_is_under_way_is_found_by_looking_at_everybody() -> None:
    operator = Operator(A, B, C)
    operator.report(A, State.DUE)
    operator.report(B, State.UNDERWAY)
    operator.report(C, State.DUE)
    assert operator.woken == []
    assert operator.report(A, State.DUE) is Turn.WAITING


def test_one_passes_at_a_time_and_the_next_is_woken_when_it_is_done() -> None:
    operator = Operator(A, B)
    operator.report(A, State.IDLE)
    operator.report(B, State.IDLE)
    assert operator.report(A, State.DUE) is Turn.GRANTED
    assert operator.report(B, State.DUE) is Turn.WAITING
    assert operator.report(A, State.DUE) is Turn.GRANTED  # decided again before its write was seen
    assert operator.report(A, State.UNDERWAY) is Turn.WAITING
    assert operator.report(B, State.DUE) is Turn.WAITING
    operator.woken.clear()
    operator.report(A, State.IDLE)
    assert operator.woken == [B]
    assert operator.report(B, State.DUE) is Turn.GRANTED


def test_a_failed_update_halts_the_others_and_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    operator = Operator(A, B)
    operator.report(B, State.DUE)
    operator.report(A, State.UNDERWAY)
    with caplog.at_level(logging.WARNING):
        operator.report(A, State.FAILED)
        operator.report(A, State.FAILED)
    assert [getattr(record, "model_deployment", None) for record in caplog.records] == ["a"]
    assert operator.report(B, State.DUE) is Turn.HALTED
    assert operator.woken == []
    operator.report(A, State.IDLE)
    assert operator.woken == [B]
    assert operator.report(B, State.DUE) is Turn.GRANTED


def test_what_failed_may_itself_try_the_next_image() -> None:
    operator = Operator(A, B)
    operator.report(B, State.DUE)
    operator.report(A, State.FAILED)
    assert operator.report(A, State.DUE) is Turn.GRANTED
    assert operator.report(B, State.DUE) is Turn.WAITING


def test_a_model_that_goes_while_it_is_its_turn_makes_way() -> None:
    operator = Operator(A, B)
    operator.report(A, State.IDLE)
    operator.report(B, State.IDLE)
    operator.report(A, State.DUE)
    operator.report(B, State.DUE)
    operator.keys.remove(A)
    operator.turnstile.forget(A)
    assert operator.woken == [B]
    operator.turnstile.forget(A)
    assert operator.report(B, State.DUE) is Turn.GRANTED


def test_a_model_that_comes_while_others_wait_is_looked_at_first() -> None:
    operator = Operator(A, B)
    operator.report(A, State.IDLE)
    assert operator.report(A, State.DUE) is Turn.WAITING
    operator.keys.append(C)
    operator.report(B, State.IDLE)
    assert operator.report(A, State.DUE) is Turn.WAITING
    operator.report(C, State.IDLE)
    assert operator.report(A, State.DUE) is Turn.GRANTED


def test_while_nobody_waits_no_visit_costs_a_look_at_all_others() -> None:
    def keys() -> list[Key]:
        raise AssertionError("asked for all models although nobody waits")

    turnstile = Turnstile(keys, lambda _key: None)
    for number in range(3):
        assert turnstile.report(("ns", f"model-{number}"), State.IDLE) is Turn.WAITING


def test_thousands_that_wait_after_a_restart_do_not_each_look_at_all_others() -> None:
    keys = [("ns", f"model-{number}") for number in range(1000)]
    looked = 0

    def look() -> list[Key]:
        nonlocal looked
        looked += 1
        return keys

    turnstile = Turnstile(look, lambda _key: None)
    turns = [turnstile.report(key, State.DUE) for key in keys]
    assert turns == [*[Turn.WAITING] * 999, Turn.GRANTED]
    assert looked <= 3


def test_one_that_goes_before_it_was_looked_at_is_waited_for_no_longer() -> None:
    operator = Operator(A, B)
    assert operator.report(A, State.DUE) is Turn.WAITING
    operator.keys.remove(B)
    operator.turnstile.forget(B)
    assert operator.woken == [A]
    assert operator.report(A, State.DUE) is Turn.GRANTED
