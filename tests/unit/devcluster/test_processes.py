"""Starting processes that outlive us, and ending exactly those."""

import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster import config, errors, processes
from tests.support import waiting


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[config.Layout]:
    layout = config.Layout("unit-processes", tmp_path / "instance")
    yield layout
    processes.end_all(layout)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of the instance's."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_started_process_is_recorded_logs_and_lives_in_a_session_of_its_own(layout: config.Layout) -> None:
    started = processes.start(layout, "talker", ["sh", "-c", "echo out; echo err >&2; exec sleep 60"])
    assert processes.recorded(layout) == [started]
    assert processes.is_alive(started)
    assert os.getsid(started.pid) == started.pid
    waiting.eventually(
        lambda: (layout.logs / "talker.log").read_text() == "out\nerr\n",
        "both lines in the log",
        every_seconds=0.01,
    )
    assert processes.end_all(layout) == 1
    assert not processes.is_alive(started)


def test_what_a_component_starts_itself_is_ended_with_it(layout: config.Layout) -> None:
    processes.start(layout, "parent", ["sh", "-c", "setsid sleep 60 & exec sleep 60"])
    while len(processes.members(layout)) < 2:
        os.sched_yield()
    assert processes.end_all(layout) == 2
    assert processes.members(layout) == set()


def test_a_process_that_was_never_recorded_is_found_by_its_mark(layout: config.Layout) -> None:
    started = processes.start(layout, "unrecorded", ["sleep", "60"])
    (layout.processes / "unrecorded.json").unlink()
    assert processes.members(layout) == {started.pid}


def test_a_number_that_now_means_another_process_is_left_alone(
    layout: config.Layout, stranger: subprocess.Popen[bytes]
) -> None:
    started = processes.start(layout, "short", ["true"])
    reused = dataclasses.replace(started, pid=stranger.pid, start_ticks=1)
    (layout.processes / "short.json").write_text(json.dumps(dataclasses.asdict(reused)))
    assert processes.members(layout) <= {started.pid}
    processes.end_all(layout)
    assert stranger.poll() is None


def test_a_process_of_the_same_number_and_time_before_a_reboot_is_another_one(
    layout: config.Layout, stranger: subprocess.Popen[bytes]
) -> None:
    ticks = int(Path(f"/proc/{stranger.pid}/stat").read_text().rpartition(")")[2].split()[19])
    before = processes.Process("x", stranger.pid, ticks, "the boot before")
    assert not processes.is_alive(before)
    assert processes.is_alive(dataclasses.replace(before, boot=processes.boot_id()))


def test_a_half_written_record_is_passed_over(layout: config.Layout) -> None:
    started = processes.start(layout, "whole", ["sleep", "60"])
    (layout.processes / "half.json").write_text('{"name": "half", "pi')
    assert processes.recorded(layout) == [started]


def test_a_component_that_ends_is_told_with_the_end_of_its_log(layout: config.Layout) -> None:
    started = processes.start(layout, "broken", ["sh", "-c", "echo no such flag; exit 1"])
    while processes.is_alive(started):
        os.sched_yield()
    with pytest.raises(errors.DevclusterError, match=r"broken ended by itself\.(.|\n)*no such flag"):
        processes.require_alive(layout)


def test_ctrl_c_for_us_is_not_for_the_cluster(layout: config.Layout) -> None:
    started = processes.start(layout, "calm", ["sleep", "60"])
    assert os.getpgid(started.pid) != os.getpgrp()
    ignored = int(
        next(
            line.split()[1]
            for line in Path(f"/proc/{started.pid}/status").read_text().splitlines()
            if line.startswith("SigIgn")
        ),
        16,
    )
    assert not ignored & (1 << (signal.SIGPIPE - 1))
