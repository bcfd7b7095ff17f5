"""Neighbours, killed and interrupted starts, dead components: and nothing left of any of them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devcluster import config, processes
from tests.e2e.devcluster import conftest, machine
from tests.support import waiting

# What `up` says when it gets there, in order: where a start is killed. "" is before it says anything.
MOMENTS = ("", "certificates made", "node's network made", "API server ready", "node one ready")


@pytest.fixture
def before(devcluster: conftest.Commands) -> machine.Look:
    """The machine before the test."""
    return machine.look(devcluster.state)


def _left(devcluster: conftest.Commands, before: machine.Look) -> dict[str, list[str]]:
    return machine.differences(before, machine.look(devcluster.state))


def _start_until(devcluster: conftest.Commands, moment: str) -> subprocess.Popen[str]:
    """Start instance `one` and give it when it has come to `moment`, or something has been made."""
    process = devcluster.start("up", "--name", "one")
    assert process.stdout is not None
    if moment:
        while moment not in (line := process.stdout.readline()):
            assert line, "up ended before"
    else:
        waiting.eventually(
            (devcluster.state / "devcluster" / "one").exists, "the instance's folder", every_seconds=0.001
        )
    return process


def test_two_instances_live_side_by_side_and_go_one_by_one(
    devcluster: conftest.Commands, before: machine.Look
) -> None:
    start = time.monotonic()
    devcluster.run("up", "--name", "one")
    assert time.monotonic() - start < 30
    devcluster.run("up", "--name", "two")
    devcluster.kubectl("one", "create", "namespace", "only-in-one")
    assert "only-in-one" not in devcluster.kubectl("two", "get", "namespaces")
    devcluster.run("down", "--name", "one")
    assert "Ready" in devcluster.kubectl("two", "get", "nodes")
    assert "already up" in devcluster.run("up", "--name", "two")
    devcluster.run("down", "--name", "two")
    assert "nothing to remove" in devcluster.run("down", "--name", "two")
    assert _left(devcluster, before) == {}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_start_that_was_killed_is_removed_by_down(
    devcluster: conftest.Commands, before: machine.Look, moment: str
) -> None:
    with _start_until(devcluster, moment) as process:
        process.kill()
    assert _left(devcluster, before) != {}
    assert "instance one removed" in devcluster.run("down", "--name", "one")
    assert _left(devcluster, before) == {}


def test_a_start_that_was_killed_is_replaced_by_up(
    devcluster: conftest.Commands, before: machine.Look
) -> None:
    with _start_until(devcluster, "API server ready") as process:
        process.kill()
    assert "its start was interrupted" in devcluster.run("up", "--name", "one")
    assert "Ready" in devcluster.kubectl("one", "get", "nodes")
    devcluster.run("down", "--name", "one")
    assert _left(devcluster, before) == {}


@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_removes_what_it_started(
    devcluster: conftest.Commands, before: machine.Look, interruption: signal.Signals
) -> None:
    with _start_until(devcluster, "API server ready") as process:
        process.send_signal(interruption)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert _left(devcluster, before) == {}


def test_a_component_that_dies_during_the_start_is_told_with_its_log_and_all_is_removed(
    devcluster: conftest.Commands, before: machine.Look
) -> None:
    with _start_until(devcluster, "node's network made") as process:
        layout = config.Layout("one", devcluster.state / "devcluster" / "one")
        waiting.eventually((layout.processes / "etcd.json").exists, "etcd started", every_seconds=0.01)
        etcd = next(found for found in processes.recorded(layout) if found.name == "etcd")
        os.kill(etcd.pid, signal.SIGKILL)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "devcluster: etcd ended by itself." in said
    assert _left(devcluster, before) == {}


def test_a_dead_component_is_noticed_and_the_instance_made_anew(
    devcluster: conftest.Commands, before: machine.Look
) -> None:
    devcluster.run("up", "--name", "one", "--control-plane-only")
    layout = config.Layout("one", devcluster.state / "devcluster" / "one")
    os.kill(processes.recorded(layout)[0].pid, signal.SIGKILL)
    with devcluster.start("status", "--name", "one") as process:
        assert "etcd ended" in process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "etcd ended" in devcluster.run("up", "--name", "one", "--control-plane-only")
    assert "already up" in devcluster.run("up", "--name", "one", "--control-plane-only")
    devcluster.run("down", "--name", "one")
    assert _left(devcluster, before) == {}


def test_another_configuration_replaces_the_instance(devcluster: conftest.Commands) -> None:
    devcluster.run("up", "--name", "one", "--control-plane-only")
    said = devcluster.run("up", "--name", "one", "--control-plane-only", "--controllers")
    assert "it has another configuration" in said
    assert "default" in devcluster.kubectl("one", "get", "serviceaccount", "default")


def test_two_starts_of_one_instance_at_once_do_not_mix(devcluster: conftest.Commands) -> None:
    with _start_until(devcluster, "") as first:
        with devcluster.start("up", "--name", "one") as second:
            said = second.communicate(timeout=60)[0]
        assert second.returncode == 1
        assert f"another run (process {first.pid}) starts or removes instance one" in said
        first.communicate(timeout=120)
    assert first.returncode == 0


def test_the_instance_of_a_killed_test_run_is_removed_by_any_other(
    devcluster: conftest.Commands, before: machine.Look
) -> None:
    script = "import os; from devcluster import clusters; clusters.up('orphan', control_plane_only=True, bound=True)"
    subprocess.run(
        [sys.executable, "-c", f"{script}; os.kill(os.getpid(), 9)"], env=devcluster.environ, check=False
    )
    assert Path(devcluster.state / "devcluster" / "orphan").exists()
    assert "the run that started it is gone" in devcluster.run("down", "--name", "other")
    assert _left(devcluster, before) == {}


def test_a_test_run_takes_over_the_instance_of_a_killed_one(
    devcluster: conftest.Commands, before: machine.Look
) -> None:
    bring_up = (
        "import os; from devcluster import clusters; clusters.up('one', control_plane_only=True, bound=True)"
    )
    subprocess.run(
        [sys.executable, "-c", f"{bring_up}; os.kill(os.getpid(), 9)"], env=devcluster.environ, check=False
    )
    look = f"{bring_up}; print(clusters.down('other'), clusters.embedded.status('one').problem == '')"
    said = subprocess.run(
        [sys.executable, "-c", look], env=devcluster.environ, check=True, capture_output=True, text=True
    ).stdout
    assert "already up" in said
    assert said.endswith("False True\n")  # it is nobody's orphan any more
    devcluster.run("down", "--name", "one")
    assert _left(devcluster, before) == {}
