"""A state folder of the tests' own, and running instances in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import clusters, toolchain

# Where Docker runs, kind takes the devcluster's place, and there may be no root to start one.
collect_ignore_glob = [] if clusters.choose(os.environ) == clusters.DEVCLUSTER else ["test_*.py"]


class Commands:
    """The devcluster's command line and kubectl, with a state folder of their own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.environ = {**os.environ, "MODELYARD_STATE": str(state)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a devcluster command and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "devcluster", *arguments],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        """Run a devcluster command that has to succeed and give what it said."""
        with self.start(*arguments) as process:
            said = process.communicate(timeout=180)[0]
        assert process.returncode == 0, said
        return said

    def kubectl(self, instance: str, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl against an instance and give what it said."""
        kubeconfig = self.state / "devcluster" / instance / "kubeconfig"
        finished = subprocess.run(
            [toolchain.binary("kubectl"), f"--kubeconfig={kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout


@pytest.fixture
def devcluster(tmp_path: Path) -> Iterator[Commands]:
    """Commands on a fresh state folder; every instance left in it is removed afterwards."""
    commands = Commands(tmp_path / "state")
    yield commands
    for left in (commands.state / "devcluster").glob("*/"):
        commands.run("down", "--name", left.name)


@pytest.fixture(scope="module")
def node() -> Iterator[clusters.Devcluster]:
    """A running instance with a node, removed even after a killed test run."""
    instance = clusters.up("modelyard-node-test", bound=True)
    yield instance
    instance.down()
