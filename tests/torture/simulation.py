"""The long form of the simulation: 20,000 stories of 60 steps on all cores, seeds that once failed first.

A row is a batch of stories that passed, or one story that failed, told with as few steps as it needs. `--case 1234`
plays the one story of that seed.
"""

import multiprocessing
import multiprocessing.pool
import os
import time
from collections.abc import Iterator, Sequence

from tests.simulation import regressions, run
from tests.torture import campaign

NAME = "simulation"
STORIES = 20_000
STORIES_SHORT = 1_000
_BATCH = 100
_MOST_TOLD = 5  # failing stories are shrunk and printed up to here; the others are only counted


def play(order: campaign.Order) -> list[campaign.Row]:
    """Play the stories of an order, from its seed on."""
    if order.case.isdigit():
        return [_row(run.play(int(order.case)))]
    count = STORIES_SHORT if order.short else STORIES
    seeds = range(order.seed, order.seed + count)
    batches = [list(regressions.SEEDS), *(seeds[start : start + _BATCH] for start in range(0, count, _BATCH))]
    rows: list[campaign.Row] = []
    failing: list[run.Outcome] = []
    started, budget = time.monotonic(), campaign.Budget(order)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for number, (batch, outcomes) in enumerate(_played(pool, batches), start=1):
            failing.extend(outcomes)
            rows.append(_batch_row(batch, outcomes))
            if number % 10 == 0:
                seconds = time.monotonic() - started
                print(f"  {number * _BATCH} stories, {len(failing)} failing, {seconds:.0f} s", flush=True)
            if budget.is_spent():
                rows.append(campaign.Row("the rest", False, f"out of time after {number * _BATCH} stories"))
                break
    return rows + [_row(run.shrink(outcome)) for outcome in failing[:_MOST_TOLD]]


def _played(
    pool: multiprocessing.pool.Pool, batches: Sequence[Sequence[int]]
) -> Iterator[tuple[Sequence[int], list[run.Outcome]]]:
    yield from pool.imap(_play_batch, batches)


def _play_batch(batch: Sequence[int]) -> tuple[Sequence[int], list[run.Outcome]]:
    return batch, run.failures(batch)


def _batch_row(batch: Sequence[int], failing: Sequence[run.Outcome]) -> campaign.Row:
    case = f"stories {batch[0]} to {batch[-1]}"
    problems = "; ".join(f"{outcome.seed}: {outcome.problem}" for outcome in failing)
    replay = f"python -m tests.simulation {failing[0].seed}" if failing else ""
    return campaign.Row(case, not failing, problems or f"{len(batch)} stories", replay)


def _row(outcome: run.Outcome) -> campaign.Row:
    return campaign.Row(f"story {outcome.seed}", not outcome.problem, str(outcome), outcome.replay)
