"""Plays stories: one seed is one story of 60 steps, then rest, then the verdict.

`play` is one story, `first_failure` many of them, `shrink` finds the few steps that a failing one needs. A step draws
its chances from the seed and its own number, so that leaving others out changes nothing about it.
"""

import logging
import random
import traceback
from collections.abc import Iterable, Sequence

import msgspec

from modelyard_operator import errors
from tests.simulation import adversary, oracle, people, rest
from tests.simulation.world import World

STEPS = 60
VISITS_TO_REST = 10
VISITS_AT_REST = 3
_STEPS, _WEIGHTS = zip(*adversary.STEPS, strict=True)


class Outcome(msgspec.Struct, frozen=True):
    """How a story ended: `problem` is empty when every invariant held."""

    seed: int
    problem: str
    story: tuple[str, ...]
    steps: tuple[int, ...]

    @property
    def replay(self) -> str:
        """The command that plays this story again."""
        return f"python -m tests.simulation {self.seed} --steps {','.join(map(str, self.steps))}"

    def __str__(self) -> str:
        """Give the whole story for people."""
        told = "\n".join(f"  {line}" for line in self.story)
        return f"seed {self.seed}: {self.problem}\n{told}\nagain: {self.replay}"


def play(seed: int, steps: Iterable[int] = range(STEPS)) -> Outcome:
    """Play one story, or some of its steps only."""
    logging.disable(logging.CRITICAL)
    world, played = World(), tuple(steps)
    problem = ""
    try:
        people.recreate(world, random.Random(seed))
        for number in played:
            draw = random.Random(seed * 1000 + number)
            draw.choices(_STEPS, _WEIGHTS)[0](world, draw)
        _come_to_rest(world, random.Random(seed))
        rest.judge(world)
    except oracle.Violation as violation:
        problem = str(violation)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    finally:
        world.operator.abandon()
        world.rival.abandon()
        logging.disable(logging.NOTSET)
    return Outcome(seed, problem, tuple(world.story), played)


def shrink(failing: Outcome) -> Outcome:
    """Give the same failure with as few steps as leaving out one by one leads to."""
    best, size = failing, max(1, len(failing.steps) // 2)
    while True:
        for start in range(0, len(best.steps), size):
            fewer = best.steps[:start] + best.steps[start + size :]
            outcome = play(best.seed, fewer)
            if _kind(outcome.problem) == _kind(failing.problem):
                best = outcome
                break
        else:
            if size == 1:
                return best
            size //= 2


def failures(seeds: Sequence[int]) -> list[Outcome]:
    """Play stories and give those that fail."""
    return [outcome for outcome in map(play, seeds) if outcome.problem]


def _come_to_rest(world: World, draw: random.Random) -> None:
    """Stop the adversary, then visit until nothing happens any more, and see that nothing does."""
    world.say("the adversary stops")
    for instance in (world.operator, world.rival):
        instance.abandon()
    if draw.random() < 0.8:
        people.vacate(world, draw)
    people.remove_stray_autoscaler(world)
    world.leader.watches.catch_up()
    # A resync comes sooner or later; from then on only what the operator hears of counts.
    world.leader.resync()
    visits, is_due = 0, True
    while is_due:
        world.settle()
        before = world.api.version
        is_due = _is_due(world)
        visits += world.api.version != before
        oracle.check(visits <= VISITS_TO_REST, f"everything is as it should be after {VISITS_TO_REST} visits")
    writes = world.writes
    for _ in range(VISITS_AT_REST):
        world.visit(world.leader)
    oracle.check(world.writes == writes, "what is as it should be is not written to")


def _is_due(world: World) -> bool:
    """Visit, let Kubernetes do what follows from it, and say whether the operator will be back."""
    before = world.api.version
    outcome = world.visit(world.leader)
    world.settle()
    is_told = world.leader.watches.catch_up()
    is_polling = outcome is not None and not isinstance(outcome, errors.Stalled)
    return is_told or (is_polling and world.api.version != before)


def _kind(problem: str) -> str:
    """Give what two failures have in common that are the same."""
    return "".join(character for character in problem[:60] if not character.isdigit())
