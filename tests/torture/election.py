"""Elections in virtual time, thousands of them: whatever happens to calls, processes and the Lease, one writes at most.

A row is a batch of seeds; `--case 1234` plays the one of that seed.
"""

import logging
import multiprocessing
import os
from collections.abc import Sequence

from tests.support import election
from tests.torture import campaign

NAME = "election"
STORMS = 2_000
STORMS_SHORT = 50
_BATCH = 25


def run(order: campaign.Order) -> list[campaign.Row]:
    """Play the storms of an order, from its seed on."""
    if order.case.isdigit():
        return [_batch([int(order.case)])]
    seeds = range(order.seed, order.seed + (STORMS_SHORT if order.short else STORMS))
    batches = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
    rows: list[campaign.Row] = []
    budget = campaign.Budget(order)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for row in pool.imap(_batch, batches):
            rows.append(row)
            if budget.is_spent():
                rows.append(campaign.Row("the rest", False, f"out of time after {len(rows)} batches"))
                break
    return rows


def _batch(seeds: Sequence[int]) -> campaign.Row:
    logging.disable(logging.CRITICAL)  # bad weather is what is wanted
    case = f"storms {seeds[0]} to {seeds[-1]}"
    moments = 0
    for seed in seeds:
        try:
            moments += election.storm(seed)
        except AssertionError as error:
            command = f"python -m tests.torture --only {NAME} --case {seed}"
            return campaign.Row(case, False, str(error), command)
    looks = len(seeds) * election.LOOKS
    return campaign.Row(case, True, f"somebody could write at {moments} of {looks} moments")
