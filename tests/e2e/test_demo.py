"""The README's demo, run as a newcomer would, twice, then removed without a trace. On a cluster of its own."""

import os
import subprocess
import sys
import time

import httpx
import pytest

from devcluster import clusters
from tests.support import footprint

NAME = "demo-e2e"
# The documented bound of a second run; a machine that runs other tests at the same time is given twice that.
SECOND_RUN_SECONDS = 2 * 90

# A person's own cluster is not the place to try the removal of everything.
pytestmark = pytest.mark.usefixtures("own_cluster")


@pytest.fixture(scope="module")
def own_cluster() -> None:
    assert clusters.choose(os.environ) != "current", "run the end-to-end tests without CLUSTER=current"


def _demo(command: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "demo", command, f"--name={NAME}"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    print(finished.stdout, finished.stderr)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_demo_runs_twice_and_leaves_nothing() -> None:
    before = footprint.take(NAME)
    try:
        first = _demo("up")
        assert first.count("equal to scikit-learn's own") == 2
        start = time.monotonic()
        second = _demo("up")
        assert time.monotonic() - start < SECOND_RUN_SECONDS
        url = next(
            word for word in second.split() if word.startswith("http://") and word.endswith("/predict")
        )
        answer = httpx.post(url, json={"X": [1, 2, 3]}, timeout=10)
        assert answer.json() == {"y_pred": pytest.approx([3.0, 5.0, 7.0])}
    finally:
        _demo("down")
    assert footprint.take(NAME) == before
