"""A conversion that crashes, hangs or eats memory is told and harms nobody; a foreign prepared folder is ignored."""

import ctypes
import faulthandler
import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from modelyard_runtime.acceleration import child, folder, gate
from modelyard_runtime.acceleration import description as descriptions

MIB = 1024**2


def _eat() -> None:
    held = []
    while True:
        held.append(bytearray(16 * MIB))


def _crash() -> None:
    faulthandler.disable()  # pytest's would print a page
    ctypes.string_at(0)


def _raise() -> None:
    raise RuntimeError("no")


ENDINGS: dict[str, tuple[Callable[[], object], str]] = {
    "a crash in native code": (_crash, "crashed (SIGSEGV)"),
    "an exception": (_raise, "exit code 1"),
    "too much memory": (_eat, "more memory than the 64 MiB"),
    "too much time": (lambda: time.sleep(60), "longer than 1 s"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_child_that_fails_is_told(case: str) -> None:
    work, words = ENDINGS[case]
    seconds = 1.0 if case == "too much time" else 60.0
    problem = child.run(work, seconds, 64 * MIB)
    assert problem is not None
    assert words in problem


def test_a_child_that_succeeds_leaves_its_files(tmp_path: Path) -> None:
    assert child.run(lambda: (tmp_path / "out").write_text("done"), 60.0, 64 * MIB) is None
    assert (tmp_path / "out").read_text() == "done"


def test_a_child_may_use_what_the_container_has_left(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99999 kB\nMemAvailable: 1048576 kB\n")
    assert child.free_bytes(tmp_path) == int(1024 * MIB * 0.7)
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text(f"{100 * MIB}\n")
    (group / "memory.max").write_text("max\n")
    assert child.free_bytes(tmp_path) == int(1024 * MIB * 0.7)
    (group / "memory.max").write_text(f"{600 * MIB}\n")
    assert child.free_bytes(tmp_path) == int(500 * MIB * 0.7)
    (group / "memory.max").write_text(f"{90 * MIB}\n")
    assert child.free_bytes(tmp_path) == 64 * MIB


DESCRIPTION = descriptions.Description(
    version=folder.runtime_version(),
    digest="sha256:1",
    format="sklearn",
    platform="sklearn",
    acceleration=descriptions.Acceleration("treelite", "equal", 7),
)
FOREIGN = {
    "another artifact": (msgspec.structs.replace(DESCRIPTION, digest="sha256:2"), "digest"),
    "another runtime": (msgspec.structs.replace(DESCRIPTION, version="0.0.0"), "version"),
    "another format": (msgspec.structs.replace(DESCRIPTION, format="skops"), "format"),
}


def _written(place: Path, description: descriptions.Description) -> folder.Folder:
    target = folder.Folder(place)
    target.begin()
    target.commit(description)
    return target


def test_a_prepared_folder_is_read_back(tmp_path: Path) -> None:
    assert folder.Folder(tmp_path).read("sha256:1", "sklearn") is None
    assert _written(tmp_path, DESCRIPTION).read("sha256:1", "sklearn") == DESCRIPTION
    # A second run replaces it as a whole.
    other = msgspec.structs.replace(DESCRIPTION, acceleration=descriptions.Acceleration("x", "y"))
    assert _written(tmp_path, other).read("sha256:1", "sklearn") == other


@pytest.mark.parametrize("case", FOREIGN)
def test_a_folder_about_something_else_is_ignored(
    case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    description, word = FOREIGN[case]
    assert _written(tmp_path, description).read("sha256:1", "sklearn") is None
    assert word in caplog.records[0].fields["problem"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", json.dumps({"version": 7}).encode()])
def test_a_damaged_description_is_ignored(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = _written(tmp_path, DESCRIPTION)
    (target.path / descriptions.FILE_NAME).write_bytes(content)
    assert target.read("sha256:1", "sklearn") is None
    assert "damaged" in caplog.records[0].fields["problem"]  # type: ignore[attr-defined]


def _difference(expected: object, got: object) -> str | None:
    return gate.difference({"predict": np.asarray(expected)}, {"predict": np.asarray(got)})


def test_the_gate_lets_equal_answers_through() -> None:
    assert _difference([1.0, np.nan, np.inf, 0.0], [1.0 + 9e-7, np.nan, np.inf, 1e-13]) is None
    assert _difference(["a", "b"], ["a", "b"]) is None
    # A 32-bit sum is as exact as its summands.
    assert (
        _difference(np.array([100, -80, 1e-3], np.float32), np.array([100, -80, 1.05e-3], np.float32)) is None
    )


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ([1.0], [1.0 + 2e-6]),
        ([0.0], [1e-11]),
        ([np.nan], [1.0]),
        ([1.0], [np.nan]),
        ([np.inf], [-np.inf]),
        ([np.inf], [1e308]),
        ([1.0], [1]),
        ([1.0], [[1.0]]),
        (["a", "b"], ["a", "c"]),
        ([1, 2], [1, 3]),
    ],
)
def test_the_gate_stops_different_ones(expected: object, got: object) -> None:
    assert _difference(expected, got) is not None
