"""Samples: what counts as the right answer, what is said about a wrong one, and where a bad sample is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelyard_runtime import errors, loading, samples
from modelyard_runtime.artifact import fetch, store
from modelyard_runtime.fetchsettings import FetchSettings
from modelyard_runtime.formats import model as models
from tests.unit.runtime import builders

PLACE = "spec.validation.samples"
SUMS = builders.FakeModel(builders.numbers(2))
NAMES = builders.FakeModel(builders.PEOPLE, lambda table: np.array([row[1] for row in table], dtype=object))


def _check(model: builders.FakeModel, *found: dict[str, Any]) -> None:
    samples.check(model, samples.decode(json.dumps(found), PLACE))


RIGHT: dict[str, tuple[builders.FakeModel, dict[str, Any]]] = {
    "the value of X": (SUMS, {"inputs": [[1, 2], [3, 4]], "expect": [3, 7]}),
    "a body of /predict": (SUMS, {"inputs": {"X": [[1, 2]]}, "expect": [3.0]}),
    "a body of the Open Inference Protocol": (
        SUMS,
        {"inputs": {"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}, "expect": [3]},
    ),
    "an output by its name": (SUMS, {"inputs": [[1, 2]], "expect": {"predict": [3]}}),
    "within the tolerance": (SUMS, {"inputs": [[1, 2]], "expect": [3.02], "tolerance": 0.01}),
    "within the usual tolerance": (SUMS, {"inputs": [[1, 2]], "expect": [3.000001]}),
    "zero": (SUMS, {"inputs": [[1, -1]], "expect": [0]}),
    "nothing expected": (SUMS, {"inputs": [[1, 2]]}),
    "text": (NAMES, {"inputs": [{"age": 3, "city": "Oslo"}], "expect": ["Oslo"]}),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_answer_passes(case: str) -> None:
    model, sample = RIGHT[case]
    _check(model, sample)


WRONG: dict[str, tuple[builders.FakeModel, dict[str, Any], str]] = {
    "another number": (
        SUMS, {"inputs": [[1, 2], [3, 4]], "expect": [3, 8]}, "predict[1]: expected 8, got 7.0",
    ),
    "beyond the tolerance": (
        SUMS, {"inputs": [[1, 2]], "expect": [3.04], "tolerance": 0.01}, "predict[0]: expected 3.04, got 3.0",
    ),
    "small, and beyond it": (SUMS, {"inputs": [[1e-9, 0]], "expect": [2e-9]}, "expected 2e-09, got 1e-09"),
    "another number of rows": (SUMS, {"inputs": [[1, 2]], "expect": [3, 3]}, "expected 2 values, got 1 values"),
    "another type": (SUMS, {"inputs": [[1, 2]], "expect": ["3"]}, "expected '3', got 3.0"),
    "another text": (NAMES, {"inputs": [[3, "Oslo"]], "expect": ["Rome"]}, "expected 'Rome', got 'Oslo'"),
    "a number where nothing was expected": (SUMS, {"inputs": [[1, 2]], "expect": [None]}, "expected None, got 3.0"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_names_the_sample_and_the_place(case: str) -> None:
    model, sample, words = WRONG[case]
    with pytest.raises(errors.StartFailure) as caught:
        _check(model, {"inputs": sample["inputs"]}, sample)
    assert caught.value.reason is errors.Reason.SAMPLE_MISMATCH
    assert caught.value.message.startswith(f"{PLACE}[1]: ")
    assert words in caught.value.message


def test_no_answer_is_a_wrong_one() -> None:
    def fail(table: models.Table) -> None:
        raise errors.ModelFailed("division by zero")

    with pytest.raises(errors.StartFailure, match="gives no answer: division by zero") as caught:
        _check(builders.FakeModel(builders.numbers(1), fail), {"inputs": [[1]]})
    assert caught.value.reason is errors.Reason.SAMPLE_MISMATCH


BAD: dict[str, tuple[str, str]] = {
    "no list": ('{"inputs": []}', f"{PLACE}: Expected `array`"),
    "no inputs": ('[{"expect": [1]}]', "`inputs`"),
    "inputs of another shape": ('[{"inputs": [[1, 2, 3]]}]', f"{PLACE}[0].inputs: X has 3 values per row"),
    "an output there is not": ('[{"inputs": [[1, 2]], "expect": {"proba": [1]}}]', "no output 'proba'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_sample_that_can_not_be_asked_is_the_authors_to_mend(case: str) -> None:
    text, words = BAD[case]
    with pytest.raises(errors.StartFailure) as caught:
        samples.check(SUMS, samples.decode(text, PLACE))
    assert caught.value.reason is errors.Reason.SETTINGS_INVALID
    assert words in caught.value.message


def _fetch(tmp_path: Path, samples_uri: str | None) -> store.Store:
    (tmp_path / "m.pkl").write_bytes(b"\x80\x05N.")
    options = FetchSettings(
        uri=f"file://{tmp_path}/m.pkl", artifact_dir=tmp_path / "artifact", samples_uri=samples_uri,
        file_roots=(tmp_path,),
    )  # fmt: skip
    fetch.fetch(options, {}, lambda _: None)
    return store.Store(options.artifact_dir)


def test_the_samples_file_comes_with_the_artifact_and_goes_with_its_uri(tmp_path: Path) -> None:
    (tmp_path / "samples.json").write_text('[{"inputs": [[1, 2]], "expect": [4]}]')
    folder = _fetch(tmp_path, f"file://{tmp_path}/samples.json")
    found = loading.read_samples('[{"inputs": [[1, 2]], "expect": [3]}]', folder)
    assert [placed.place for placed in found] == [
        f"{PLACE}[0]",
        f"{PLACE.replace('samples', 'samplesURI')}[0]",
    ]
    with pytest.raises(errors.StartFailure, match=r"samplesURI\[0\]: predict\[0\]: expected 4, got 3"):
        samples.check(SUMS, found)
    assert loading.read_samples("[]", _fetch(tmp_path, None)) == ()


def test_a_folder_is_no_samples_file(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "a.json").write_text("[]")
    with pytest.raises(errors.StartFailure, match=r"samplesURI: .* is a folder"):
        _fetch(tmp_path, f"file://{tmp_path}/many/")
