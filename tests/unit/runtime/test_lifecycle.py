"""The stages follow each other as told, and a drain ends when it should."""

import itertools

import pytest

from modelyard_runtime import lifecycle
from modelyard_runtime.lifecycle import Stage


def test_a_start_goes_through_its_stages_in_order() -> None:
    way = [Stage.FETCHING, Stage.VERIFYING, Stage.LOADING, Stage.WARMING, Stage.READY, Stage.DRAINING]
    assert all(lifecycle.is_allowed(*step) for step in itertools.pairwise(way))


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.DRAINING])
def test_nothing_follows_an_end(stage: Stage) -> None:
    assert not any(lifecycle.is_allowed(stage, following) for following in Stage)


def test_a_model_that_serves_does_not_load_again() -> None:
    assert not lifecycle.is_allowed(Stage.READY, Stage.LOADING)
    assert not lifecycle.is_allowed(Stage.READY, Stage.FAILED)


DRAINS = {
    "nobody asks: over after the quiet period": (15.0, 0.0, 0, True),
    "the quiet period has not passed": (14.9, 0.0, 0, False),
    "a request during the drain starts the quiet period anew": (15.0, 12.0, 0, False),
    "over when that has passed too": (17.0, 12.0, 0, True),
    "a request that is being answered holds it up": (20.0, 0.0, 1, False),
    "the deadline ends it all the same": (40.0, 39.9, 3, True),
    "not yet at the deadline": (39.9, 39.9, 0, False),
}


@pytest.mark.parametrize(("now", "last_request_at", "in_flight", "over"), DRAINS.values(), ids=DRAINS)
def test_a_drain_of_thirty_seconds_from_ten(
    now: float, last_request_at: float, in_flight: int, over: bool
) -> None:
    drain = lifecycle.plan_drain(started_at=10.0, drain_seconds=30.0)
    assert drain.is_over(now, last_request_at, in_flight) is over


def test_a_drain_of_nothing_is_over_at_once() -> None:
    assert lifecycle.plan_drain(10.0, 0.0).is_over(10.0, 10.0, 5)


def test_the_quiet_period_fits_into_a_short_drain() -> None:
    assert lifecycle.plan_drain(0.0, 2.0).quiet_seconds == 2.0
