"""A foreign or damaged prepared folder is ignored, and the gate lets only equal answers through."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import folder, gate

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
