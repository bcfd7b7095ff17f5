"""Processes with everything they have started."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench import process_tree

_CHILD = "sum(range(3_000_000)); print(1, flush=True); import time; time.sleep(60)"
# Says its child's id once that has worked a little.
_PARENT = (
    "import subprocess, sys;"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE);"
    "child.stdout.read(1); print(child.pid, flush=True); child.wait()"
)


@pytest.fixture
def tree() -> Iterator[tuple[int, int]]:
    """Give the ids of a parent and its child."""
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, _CHILD], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            yield parent.pid, child
        finally:
            process_tree.kill(process_tree.members(parent.pid))


def test_a_tree_has_the_parent_and_its_child(tree: tuple[int, int]) -> None:
    assert {each.pid for each in process_tree.members(tree[0])} == set(tree)
    assert os.getpid() not in {each.pid for each in process_tree.members(tree[0])}


def test_figures_are_those_of_all_members(tree: tuple[int, int]) -> None:
    parent, child = tree
    assert process_tree.cpu_seconds(parent) >= process_tree.cpu_seconds(child) > 0
    assert process_tree.memory_mebibytes(parent) > process_tree.memory_mebibytes(child) > 0


def test_a_child_is_ended_though_its_parent_has_gone(tree: tuple[int, int]) -> None:
    listed = process_tree.members(tree[0])
    process_tree.kill([each for each in listed if each.pid == tree[0]])
    process_tree.kill(listed)
    deadline = time.monotonic() + 30
    # What is ended has no memory, also while nobody has buried it.
    while process_tree.memory_mebibytes(tree[1]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process_tree.memory_mebibytes(tree[1]) == 0


def test_another_process_with_the_same_id_is_left_alone(tree: tuple[int, int]) -> None:
    process_tree.kill([each._replace(started=each.started - 1) for each in process_tree.members(tree[0])])
    assert process_tree.memory_mebibytes(tree[1]) > 0
