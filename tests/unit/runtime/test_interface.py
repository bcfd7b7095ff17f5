"""`signature.json`: inputs that may be left out, how they are filled in, and what is told about a wrong file."""

import json
from typing import Any

import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import interface
from modelyard_runtime.formats import model as models

SIGNATURE = models.Signature(
    inputs=(
        models.TensorSpec("x", "FP32", (-1, 4)),
        models.TensorSpec("h", "FP64", (-1, 2, 3)),
        models.TensorSpec("noise", "FP32", (-1, 5)),
        models.TensorSpec("mask", "INT64", (-1, -1)),
    ),
    outputs=(models.TensorSpec("y", "FP32", (-1, 2)),),
)
X = np.zeros((2, 4), np.float32)
MASK = np.zeros((2, 1), np.int64)
DESCRIBED = {"inputs": {"h": {"optional": "zeros"}, "noise": {"optional": "normal"}}}


def filled(described: Any, inputs: dict[str, Any], **parameters: models.Scalar) -> dict[str, Any]:
    description = interface.parse(json.dumps(described).encode())
    signature = interface.apply(description, SIGNATURE)
    return interface.fill(description, signature, inputs, parameters)


def test_a_state_starts_as_zeros_with_as_many_rows_as_the_rest() -> None:
    state = filled(DESCRIBED, {"x": X, "mask": MASK})["h"]
    assert (state.shape, state.dtype, state.any()) == ((2, 2, 3), np.float64, False)


def test_noise_is_what_numpy_draws_from_the_seed() -> None:
    noise = filled(DESCRIBED, {"x": X, "mask": MASK}, seed=7)["noise"]
    assert noise.tolist() == np.random.default_rng(7).standard_normal((2, 5), np.float32).tolist()
    uniform = {"inputs": {"h": {"optional": "zeros"}, "noise": {"optional": "uniform"}}}
    noise = filled(uniform, {"x": X, "mask": MASK}, seed=7)["noise"]
    assert noise.tolist() == np.random.default_rng(7).random((2, 5), np.float32).tolist()


def test_what_is_given_is_used() -> None:
    given = {"x": X, "mask": MASK, "h": np.ones((2, 2, 3)), "noise": np.ones((2, 5), np.float32)}
    assert all(filled(DESCRIBED, given)[name] is array for name, array in given.items())


def test_the_signature_tells_what_may_be_left_out_and_that_a_seed_counts() -> None:
    applied = interface.apply(interface.parse(json.dumps(DESCRIBED).encode()), SIGNATURE)
    assert applied.optional == {"h", "noise"}
    assert "noise (FP32 [-1, 5], optional)" in applied.expected
    assert [*applied.parameters] == ["seed"]
    # The second request of a shared call would get other noise than alone.
    assert not applied.is_row_wise
    state = interface.apply(interface.parse(b'{"inputs": {"h": {"optional": "zeros"}}}'), SIGNATURE)
    assert state.is_row_wise
    assert not state.parameters


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "7"])
def test_a_seed_that_is_no_whole_number_is_refused(seed: models.Scalar) -> None:
    with pytest.raises(errors.InvalidInput, match="'seed' must be a whole number"):
        filled(DESCRIBED, {"x": X, "mask": MASK}, seed=seed)


def test_an_input_that_may_not_be_left_out_is_named() -> None:
    with pytest.raises(errors.InvalidInput, match="the input 'x' is missing"):
        filled(DESCRIBED, {"mask": MASK})


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ("{", "Input data was truncated"),
        ({"input": {}}, "unknown field `input`"),
        ({"inputs": {"h": {"optional": "ones"}}}, "Invalid enum value 'ones'"),
        ({"inputs": {"z": {}}}, "the model has no input 'z'; it has h, mask, noise, x"),
        ({"inputs": {"mask": {"optional": "zeros"}}}, "only its first size may vary"),
        ({"inputs": {"x": {"datatype": "INT64", "optional": "normal"}}}, "can't be filled with noise: it is INT64"),
        ({"inputs": {"x": {"datatype": "FP8"}}}, "the datatype 'FP8'"),
        ({"inputs": {"x": {"shape": [-2, 4]}}}, "can't have the shape"),
        ({"outputs": ["a", "b"]}, "names 2 outputs, and the model gives 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_in_its_own_words(described: Any, words: str) -> None:
    content = described if isinstance(described, str) else json.dumps(described)
    with pytest.raises(errors.StartFailure) as failed:
        interface.apply(interface.parse(content.encode()), SIGNATURE)
    assert words in failed.value.message
    assert "signature.json" in failed.value.message
