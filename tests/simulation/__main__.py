"""Tells one story again, in words: `python -m tests.simulation SEED [--steps 1,5,9]`, or plays many: `--stories N`."""

import argparse
import collections
import sys
import time

from tests.simulation import run


def main() -> int:
    """Play what was asked for; give 0 when every invariant held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--steps", help="only these steps of it, by number")
    parser.add_argument("--stories", type=int, default=1, help="so many seeds, from the one given")
    asked = parser.parse_args()
    if asked.stories > 1:
        return _many(asked.seed, asked.stories)
    steps = (
        range(run.STEPS) if asked.steps is None else [int(each) for each in asked.steps.split(",") if each]
    )
    outcome = run.play(asked.seed, steps)
    print(run.shrink(outcome) if outcome.problem and asked.steps is None else outcome)
    return 1 if outcome.problem else 0


def _many(first: int, count: int) -> int:
    started = time.monotonic()
    failing = run.failures(range(first, first + count))
    kinds = collections.defaultdict(list)
    for outcome in failing:
        kinds[run._kind(outcome.problem)].append(outcome.seed)
    for kind, seeds in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
        print(f"{len(seeds):>6}  {kind}  e.g. {seeds[:5]}")
    print(f"{count} stories, {len(failing)} failing, {time.monotonic() - started:.0f} s")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
