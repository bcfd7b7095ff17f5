"""What a campaign is: a function that takes an order and gives one row for each case it has tried.

Each module of campaigns builds `Row`s; `__main__` lists the campaigns, hands out orders and prints the table. A row of
a case that failed carries the command that plays exactly that case again.
"""

import time
from collections.abc import Callable

import msgspec


class Order(msgspec.Struct, frozen=True):
    """How much is asked for.

    Attributes:
        seed: of everything random; the same seed gives the same cases.
        short: the form of a few minutes at most, to see that the campaign itself works.
        budget_seconds: after this no new case is started; what was left out is a row of its own.
        case: only cases whose name contains this; empty for all.
    """

    seed: int
    short: bool = False
    budget_seconds: float = 3600.0
    case: str = ""


class Row(msgspec.Struct, frozen=True):
    """What came of one case, or of many alike.

    Attributes:
        case: its name, as a sentence or a path: "update/apply deployments iris#1/after".
        passed: whether everything held.
        detail: figures when it passed, what was wrong when it did not.
        replay: the command that plays this case again.
    """

    case: str
    passed: bool
    detail: str = ""
    replay: str = ""


class Campaign(msgspec.Struct, frozen=True):
    """One campaign: what it shows, about how long it takes, and what runs it."""

    what: str
    minutes: float
    run: Callable[[Order], list[Row]]


class Budget:
    """Tells when the time of an order is used up."""

    def __init__(self, order: Order) -> None:
        self._deadline = time.monotonic() + order.budget_seconds

    def is_spent(self) -> bool:
        """Say whether no new case may be started."""
        return time.monotonic() >= self._deadline


def replay(name: str, order: Order, case: str) -> str:
    """Give the command that plays one case of a campaign again."""
    short = " --short" if order.short else ""
    return f"python -m tests.torture --only {name} --seed {order.seed}{short} --case '{case}'"


def table(outcomes: dict[str, list[Row]]) -> str:
    """Give the verdict of all campaigns for people: one line each, then every failure with its replay."""
    width = max((len(name) for name in outcomes), default=0)
    lines = [f"{'campaign':<{width}}  cases  failed  verdict"]
    for name, rows in outcomes.items():
        failed = sum(not row.passed for row in rows)
        # A campaign that has tried nothing has shown nothing.
        verdict = "passed" if rows and not failed else "FAILED" if rows else "FAILED (no case)"
        lines.append(f"{name:<{width}}  {len(rows):>5}  {failed:>6}  {verdict}")
    for name, rows in outcomes.items():
        for row in rows:
            if not row.passed:
                lines.append(f"\n{name}: {row.case}\n  {row.detail}\n  again: {row.replay}")
    return "\n".join(lines)


def has_passed(outcomes: dict[str, list[Row]]) -> bool:
    """Say whether every campaign has tried something and every case has passed."""
    return all(rows and all(row.passed for row in rows) for rows in outcomes.values())
