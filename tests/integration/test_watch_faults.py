"""Every way in which a watch or its list can fail, for ten seconds each: the short form of the watch campaign."""

import asyncio
from pathlib import Path

from tests.support import faultproxy_faults
from tests.torture import campaign, watch


def test_no_failure_of_a_watch_leaves_the_operator_alive_and_deaf(kubeconfig: Path, tmp_path: Path) -> None:
    order = campaign.Order(seed=1, short=True)
    rows = asyncio.run(watch.cases(order, kubeconfig, tmp_path))
    assert [f"{row.case}: {row.detail}; again: {row.replay}" for row in rows if not row.passed] == []
    assert len(rows) == len(faultproxy_faults.TROUBLES) * len(watch.STREAMS)
