"""An API server that fails at random, and one that dies: the short forms of two campaigns."""

import asyncio
from pathlib import Path

from tests.torture import campaign, requests, restarts

ORDER = campaign.Order(seed=1, short=True)


def failures(rows: list[campaign.Row]) -> list[str]:
    return [f"{row.case}: {row.detail}; again: {row.replay}" for row in rows if not row.passed]


def test_random_failures_of_requests_change_nothing_in_the_end(kubeconfig: Path, tmp_path: Path) -> None:
    rows = asyncio.run(requests.cases(ORDER, kubeconfig, tmp_path))
    assert failures(rows) == []
    assert len(rows) == 3


def test_after_an_api_server_or_a_crd_was_gone_the_next_change_is_heard() -> None:
    rows = restarts.run(ORDER)
    assert failures(rows) == []
    assert len(rows) == 2
