"""The short form of the simulation: some hundred stories, and proof that a story can fail.

The long form, 20,000 stories, is `python -m tests.torture --only simulation`.
"""

import random

import pytest

from modelyard_operator import errors, plan
from tests.simulation import people, process, regressions, run, world

STORIES = 150
_PART = 25


@pytest.mark.parametrize("seed", regressions.SEEDS)
def test_a_story_that_found_a_defect_once_holds(seed: int) -> None:
    outcome = run.play(seed)
    assert not outcome.problem, str(run.shrink(outcome))


@pytest.mark.parametrize("first", range(1, STORIES, _PART))
def test_every_invariant_holds_in_stories_of_sixty_steps(first: int) -> None:
    failing = run.failures(range(first, first + _PART))
    assert not failing, str(run.shrink(failing[0]))


def test_a_story_is_the_same_each_time_it_is_told() -> None:
    assert run.play(7) == run.play(7)
    assert len(run.play(7).story) > run.STEPS


def test_a_defect_makes_stories_fail_and_is_told_in_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_hand_over", lambda *_: [])
    failing = run.failures(range(1, 40))
    assert failing, "replicas that pass through 1 went unnoticed"
    shortest = run.shrink(failing[0])
    assert len(shortest.steps) < run.STEPS // 4
    assert f"python -m tests.simulation {shortest.seed} --steps" in str(shortest)


def test_a_status_that_could_not_be_written_brings_the_operator_back() -> None:
    for number in range(1, 20):
        simulated = world.World()
        people.recreate(simulated, random.Random(1))
        simulated.operator.watches.catch_up()
        outcome = simulated.visit(simulated.operator, {number: process.Fault.ERROR})
        if isinstance(outcome, errors.ClusterError) and "write the status" in str(outcome):
            return
    raise AssertionError("no visit has ended with a status that could not be written")
