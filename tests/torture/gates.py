"""The planted bugs as a campaign: one row for each, with the test that should have found it.

The same as `make test-gates`, for a verdict in one table with the other campaigns; `--case TEXT` chooses by the words.
"""

from tests.gates import bugs, planting
from tests.torture import campaign

NAME = "gates"


def run(order: campaign.Order) -> list[campaign.Row]:
    """Plant every bug of the list and see whether its test turns red."""
    chosen = [bug for bug in bugs.BUGS if order.case in bug.mistake]
    found = planting.try_all(chosen)
    return [_row(order, bug, found[bug.mistake]) for bug in chosen]


def _row(order: campaign.Order, bug: bugs.Bug, outcome: planting.Outcome) -> campaign.Row:
    was_found = outcome.has_run and outcome.has_failed
    detail = f"found by {bug.test}" if was_found else f"not found by {bug.test}: {outcome.words}"
    return campaign.Row(bug.mistake, was_found, detail, campaign.replay(NAME, order, bug.mistake))
