"""The README's demo, run as a newcomer would, twice, then removed without a trace. On a cluster of its own.

The folder's name sorts before the other end-to-end tests, so that no other cluster's pods come and go meanwhile.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from devcluster import clusters
from tests.e2e.devcluster import machine

NAME = "demo-e2e"
SECOND_RUN_SECONDS = 90  # as documented; it takes about five


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder of the test's own; a person's own cluster is not the place to try the removal of everything."""
    assert clusters.choose(os.environ) != clusters.CURRENT, "run the end-to-end tests without CLUSTER=current"
    return tmp_path / "state"


def _demo(command: str, state: Path) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "demo", command, f"--name={NAME}"],
        env={**os.environ, "MODELYARD_STATE": str(state)},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    print(finished.stdout, finished.stderr)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_demo_runs_twice_and_leaves_nothing(state: Path) -> None:
    before = machine.look(state)
    try:
        first = _demo("up", state)
        assert first.count("equal to scikit-learn's own") == 2
        assert first.count("refused, and the old pods serve on") == 2
        told = first.split()
        for reason, what in (("DigestChanged:", "the unpinned model"), ("DigestMismatch:", "the pinned one")):
            assert reason in told, what
        assert "posix.system is not allowed" in " ".join(told)
        start = time.monotonic()
        second = _demo("up", state)
        assert time.monotonic() - start < SECOND_RUN_SECONDS
        url = next(
            word for word in second.split() if word.startswith("http://") and word.endswith("/predict")
        )
        answer = httpx.post(url, json={"X": [1, 2, 3]}, timeout=10)
        assert answer.json() == {"y_pred": pytest.approx([3.0, 5.0, 7.0])}
    finally:
        _demo("down", state)
    assert machine.differences(before, machine.look(state)) == {}
