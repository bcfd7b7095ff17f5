"""One run at a time, whatever happens to the other one."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from devcluster import errors, locks

HOLDER = textwrap.dedent(
    """
    import pathlib, sys
    from devcluster import locks
    with locks.hold(pathlib.Path(sys.argv[1]), "builds helm", wait=False):
        print("held", flush=True)
        sys.stdin.read()
    """
)


def _holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_held_lock_is_refused_with_who_holds_it_and_why(tmp_path: Path) -> None:
    with _holder(tmp_path / "lock") as holder:
        with (
            pytest.raises(errors.DevclusterError, match=rf"process {holder.pid}\) builds helm"),
            locks.hold(tmp_path / "lock", "builds helm", wait=False),
        ):
            pytest.fail("held twice")
        holder.communicate("")


def test_a_killed_holder_holds_no_more(tmp_path: Path) -> None:
    with _holder(tmp_path / "lock") as holder:
        holder.kill()
        holder.wait()
        with locks.hold(tmp_path / "lock", "builds helm", wait=False):
            assert (tmp_path / "lock").exists()


def test_a_released_lock_leaves_no_file_and_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with locks.hold(tmp_path / "new" / "lock", "builds helm", wait=False):
            pass
        assert not (tmp_path / "new" / "lock").exists()


def test_waiting_ends_when_the_holder_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with _holder(tmp_path / "lock") as holder:
        waiter = subprocess.Popen(
            [sys.executable, "-c", HOLDER.replace("wait=False", "wait=True"), str(tmp_path / "lock")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert waiter.stdout is not None
        assert "waiting for another run" in waiter.stdout.readline()
        holder.communicate("")
        assert waiter.communicate(timeout=10)[0] == "held\n"
        assert waiter.returncode == 0


def test_a_sweep_removes_what_killed_holders_left_and_nothing_that_is_held(tmp_path: Path) -> None:
    with _holder(tmp_path / "killed.lock") as killed, _holder(tmp_path / "held.lock") as held:
        killed.kill()
        killed.wait()
        locks.sweep(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["held.lock"]
        held.communicate("")
