"""Models of named tensors get their inputs by name in every protocol, or a sentence that says what is wrong."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import exchange, mlflow, predict, recognition, v1, v2
from tests.unit.runtime import builders

ONE_INPUT = models.Signature(
    inputs=(models.TensorSpec("image", "FP32", (-1, 2, 2)),), outputs=(models.TensorSpec("y", "FP32", (-1,)),)
)
Decode = Callable[[exchange.Message, models.Signature, str], exchange.Call]
DECODERS: dict[str, Decode] = {
    "predict": predict.decode,
    "v1": v1.decode,
    "v2": v2.decode,
    "mlflow": mlflow.decode,
}
X, H = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[0.5, 0.5], [1.0, 1.0]]


def _tensor(name: str, data: Any, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "shape": list(np.shape(data)), "datatype": datatype, "data": data}


def _request(protocol: str, body: dict[str, Any], signature: models.Signature) -> models.Request:
    message = exchange.Message(json.dumps(body).encode())
    return DECODERS[protocol](message, signature, "m").request


BOTH: dict[str, tuple[str, dict[str, Any]]] = {
    "the simple form": ("predict", {"x": X, "h": H}),
    "instances": ("v1", {"instances": [{"x": X[0], "h": H[0]}, {"x": X[1], "h": H[1]}]}),
    "inputs": ("v1", {"inputs": {"x": X, "h": H}}),
    "the Open Inference Protocol": ("v2", {"inputs": [_tensor("x", X), _tensor("h", H)]}),
    "MLflow's inputs": ("mlflow", {"inputs": {"x": X, "h": H}}),
    "MLflow's instances": ("mlflow", {"instances": [{"x": X[0], "h": H[0]}, {"x": X[1], "h": H[1]}]}),
    "a DataFrame of lists": (
        "mlflow", {"dataframe_split": {"columns": ["x", "h"], "data": [[X[0], H[0]], [X[1], H[1]]]}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BOTH)
def test_inputs_arrive_by_name(case: str) -> None:
    protocol, body = BOTH[case]
    request = _request(protocol, body, builders.RECURRENT)
    assert request.rows == 2
    assert {name: array.tolist() for name, array in request.inputs.items()} == {"x": X, "h": H}
    assert request.wanted == {"y", "h_next"}
    if protocol != "mlflow" or "dataframe_split" not in body:
        sample = recognition.decode(json.dumps(body).encode(), builders.RECURRENT)
        assert {name: array.tolist() for name, array in sample.inputs.items()} == {"x": X, "h": H}


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("predict", {"x": X, "parameters": {"seed": 7}}),
        ("predict", {"X": X, "parameters": {"seed": 7}}),
        ("v1", {"instances": X, "parameters": {"seed": 7}}),
        ("v2", {"inputs": [_tensor("x", X)], "parameters": {"seed": 7, "binary_data_output": False}}),
        ("mlflow", {"inputs": X, "params": {"seed": 7}}),
    ],
)
def test_what_may_be_left_out_is_and_parameters_arrive(protocol: str, body: dict[str, Any]) -> None:
    request = _request(protocol, body, builders.RECURRENT)
    assert list(request.inputs) == ["x"]
    assert request.parameters == {"seed": 7}


def test_one_input_has_any_name_and_any_rank() -> None:
    image = np.arange(8.0).reshape(2, 2, 2).tolist()
    for protocol, body in (
        ("predict", {"X": image}),
        ("v1", {"instances": image}),
        ("v2", {"inputs": [_tensor("input-0", image, "FP64")]}),
        ("mlflow", {"inputs": image}),
    ):
        assert _request(protocol, body, ONE_INPUT).inputs["image"].tolist() == image


REFUSED: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a missing input": ("predict", {"h": H}, ("'x' is missing", "x (FP32 [-1, 3])")),
    "an unknown input": ("predict", {"x": X, "z": 1}, ("'z'", "x (FP32")),
    "an unknown input, version 2": ("v2", {"inputs": [_tensor("x", X), _tensor("z", X)]}, ("'z'",)),
    "inputs of different lengths": ("predict", {"x": X, "h": H[:1]}, ("x 2, h 1",)),
    "no rows": ("predict", {"x": []}, ("no rows",)),
    "text": ("predict", {"x": [["a", "b", "c"]]}, ("'x', data[0][0]", "FP32")),
    "a boolean": ("v1", {"instances": [{"x": [True, 1, 2]}]}, ("'x', data[0][0]", "FP32")),
    "ragged": ("predict", {"x": [[1, 2, 3], [1]]}, ("different lengths",)),
    "a number too large": ("predict", {"x": [[1e39, 0, 0]]}, ("does not fit FP32",)),
    "an unknown parameter": ("predict", {"x": X, "parameters": {"sed": 1}}, ("'sed'", "seed")),
    "a parameter that is no scalar": ("predict", {"x": X, "parameters": {"seed": [1]}}, ("'seed'", "a list")),
    "parameters that are none": ("predict", {"x": X, "parameters": 3}, ("a number", "object")),
    "instances of different inputs": ("v1", {"instances": [{"x": X[0]}, {"h": H[0]}]}, ("instance 1",)),
    "both names for one input": ("predict", {"x": X, "X": X}, ("same input",)),
    "rows for several inputs": ("v1", {"instances": 3}, ("instances is a number",)),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_is_refused_in_words(case: str) -> None:
    protocol, body, words = REFUSED[case]
    with pytest.raises(errors.InvalidInput) as caught:
        _request(protocol, body, builders.RECURRENT)
    for word in words:
        assert word in caught.value.message


def test_answers_name_the_outputs() -> None:
    y, h = np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 4.0]], np.float32)
    outputs = {"h_next": h, "y": y}
    expected = {
        "predict": ({"x": X[:1]}, {"y_pred": [[1.0, 2.0]], "h_next": [[3.0, 4.0]]}),
        "v1": ({"instances": X[:1]}, {"predictions": [{"y": [1.0, 2.0], "h_next": [3.0, 4.0]}]}),
        "mlflow": ({"inputs": X[:1]}, {"predictions": {"y": [[1.0, 2.0]], "h_next": [[3.0, 4.0]]}}),
    }
    for protocol, (body, answer) in expected.items():
        call = DECODERS[protocol](exchange.Message(json.dumps(body).encode()), builders.RECURRENT, "m")
        assert json.loads(call.encode(outputs).body) == answer
