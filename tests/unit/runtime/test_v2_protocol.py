"""Open Inference Protocol bodies become tables, or a sentence that names the input and the remedy."""

import json
import math
from typing import Any

import hypothesis
import hypothesis.extra.numpy as st_numpy
import hypothesis.strategies as st
import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import v2, v2_metadata
from tests.unit.runtime import builders

BY_NAME = builders.named(age=models.Kind.NUMBER, income=models.Kind.NUMBER)


def _tensor(data: Any, shape: list[int], datatype: str = "FP64", name: str = "X") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _decode(signature: models.Signature, *inputs: dict[str, Any], **fields: Any) -> v2.Call:
    return v2.decode_request(json.dumps({"inputs": list(inputs), **fields}).encode(), signature)


def _answer(outputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    nothing = models.Request({}, 1, frozenset())
    answer: dict[str, Any] = json.loads(v2.Call(nothing, **fields).encode(outputs).body)
    return answer


TAKEN: dict[str, tuple[models.Signature, list[dict[str, Any]], Any]] = {
    "flat data": (builders.numbers(2), [_tensor([1, 2, 3, 4], [2, 2])], [[1.0, 2.0], [3.0, 4.0]]),
    "nested data": (builders.numbers(2), [_tensor([[1, 2], [3, 4]], [2, 2])], [[1.0, 2.0], [3.0, 4.0]]),
    "one dimension, one feature": (builders.numbers(1), [_tensor([1, 2], [2])], [[1.0], [2.0]]),
    "integers": (builders.numbers(1), [_tensor([1, 2], [2, 1], "INT8")], [[1.0], [2.0]]),
    "booleans, stated as such": (builders.numbers(1), [_tensor([True], [1, 1], "BOOL")], [[1.0]]),
    "any name for the one tensor": (builders.numbers(1), [_tensor([1], [1, 1], name="input-0")], [[1.0]]),
    "one tensor for a model with names": (BY_NAME, [_tensor([1, 2], [1, 2])], [[1.0, 2.0]]),
    "one tensor per feature, in any order": (
        BY_NAME,
        [_tensor([3, 4], [2, 1], name="income"), _tensor([1, 2], [2], "INT64", "age")],
        [[1.0, 3.0], [2.0, 4.0]],
    ),
    "text and numbers by feature": (
        builders.PEOPLE,
        [_tensor([30], [1, 1], "INT64", "age"), _tensor(["Oslo"], [1, 1], "BYTES", "city")],
        [[30.0, "Oslo"]],
    ),
    "documents": (builders.DOCUMENTS, [_tensor(["a", "b"], [2], "BYTES")], ["a", "b"]),
    "documents as a column": (
        builders.DOCUMENTS,
        [_tensor([["a"], ["b"]], [2, 1], "BYTES", "text")],
        ["a", "b"],
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_request_is_taken(case: str) -> None:
    signature, inputs, expected = TAKEN[case]
    assert _decode(signature, *inputs).request.inputs["X"].tolist() == expected


def test_null_is_a_missing_value_where_the_model_has_them() -> None:
    table = _decode(builders.numbers(2, allows_missing=True), _tensor([1, None], [1, 2])).request.inputs["X"]
    assert math.isnan(table[0, 1])


def test_id_is_kept_and_parameters_are_ignored() -> None:
    request = _decode(
        builders.numbers(1),
        _tensor([1], [1, 1]) | {"parameters": {"content_type": "np"}},
        id="abc",
        parameters={"x": {"deep": [1]}},
        outputs=[{"name": "predict", "parameters": {"binary_data": False}}],
    )
    assert request.request_id == "abc"


REFUSED: dict[str, tuple[models.Signature, list[dict[str, Any]], dict[str, Any], tuple[str, ...]]] = {
    "no inputs": (builders.numbers(2), [], {}, ("inputs is empty", "[-1, 2]")),
    "another width": (builders.numbers(2), [_tensor([1, 2, 3], [1, 3])], {}, ("'X'", "[1, 3]", "[-1, 2]")),
    "one row without its dimension": (builders.numbers(2), [_tensor([1, 2], [2])], {}, ("[2]", "[-1, 2]")),
    "three dimensions": (builders.numbers(1), [_tensor([1], [1, 1, 1])], {}, ("[1, 1, 1]",)),
    "no dimensions": (builders.numbers(1), [_tensor([1], [])], {}, ("shape []", "[-1, 1]")),
    "more dimensions than NumPy has": (builders.numbers(1), [_tensor([1], [1] * 70)], {}, ("70 dimensions",)),
    "a negative dimension": (builders.numbers(1), [_tensor([1], [-1, 1])], {}, ("shape", ">= 0")),
    "no rows": (builders.numbers(1), [_tensor([], [0, 1])], {}, ("no rows",)),
    "fewer values than the shape says": (builders.numbers(2), [_tensor([1], [1, 2])], {}, ("[1, 2]", "has 1")),
    "a shape of petabytes": (builders.numbers(2), [_tensor([1], [2**31, 2**31])], {}, ("has 1",)),
    "nested otherwise than stated": (
        builders.numbers(2), [_tensor([[1], [2]], [1, 2])], {}, ("[1, 2]", "nested as [2, 1]"),
    ),
    "ragged": (builders.numbers(2), [_tensor([[1, 2], [3]], [2, 2])], {}, ("different lengths",)),
    "ragged text": (builders.PEOPLE, [_tensor([["a", "b"], ["c"]], [2, 2], "BYTES")], {}, ("different lengths",)),
    "text in a tensor of numbers": (builders.numbers(1), [_tensor([1, "a"], [2, 1])], {}, ("'X', data[1]", "FP64")),
    "text in nested numbers": (builders.numbers(2), [_tensor([[1, "a"]], [1, 2])], {}, ("data[0][1]",)),
    "a boolean in a tensor of numbers": (builders.numbers(1), [_tensor([True], [1, 1])], {}, ("data[0]", "bool")),
    "a fraction in a tensor of integers": (
        builders.numbers(1), [_tensor([1.5], [1, 1], "INT64")], {}, ("data[0]", "INT64"),
    ),
    "null": (builders.numbers(1), [_tensor([None], [1, 1])], {}, ("data[0]", "null")),
    "an integer too large for its datatype": (
        builders.numbers(1), [_tensor([300], [1, 1], "UINT8")], {}, ("does not fit UINT8",),
    ),
    "a number too large for FP32": (
        builders.numbers(1), [_tensor([1e39], [1, 1], "FP32")], {}, ("does not fit FP32",),
    ),
    "FP16, which has no JSON form": (builders.numbers(1), [_tensor([1], [1, 1], "FP16")], {}, ("FP16", "FP32")),
    "an unknown datatype": (builders.numbers(1), [_tensor([1], [1, 1], "COMPLEX")], {}, ("COMPLEX",)),
    "text for a model of numbers": (
        builders.numbers(1), [_tensor(["a"], [1, 1], "BYTES")], {}, ("row 0", "'a'", "number"),
    ),
    "numbers for documents": (builders.DOCUMENTS, [_tensor([1], [1, 1])], {}, ("BYTES tensor",)),
    "a missing feature": (BY_NAME, [_tensor([1], [1, 1], name="age")], {}, ("'income' is missing",)),
    "an unknown feature": (
        BY_NAME, [_tensor([1], [1, 1], name=name) for name in ("age", "income", "shoe")], {}, ("'shoe' is unknown",),
    ),
    "features of different length": (
        BY_NAME, [_tensor([1], [1], name="age"), _tensor([1, 2], [2], name="income")], {}, ("rows: 1, 2",),
    ),
    "a feature with two columns": (
        BY_NAME, [_tensor([1, 2], [1, 2], name="age"), _tensor([1], [1], name="income")], {}, ("'age'", "[-1, 1]"),
    ),
    "two tensors for a model without names": (
        builders.numbers(2), [_tensor([1], [1, 1], name="a"), _tensor([1], [1, 1], name="b")], {}, ("a, b", "[-1, 2]"),
    ),
    "the same input twice": (builders.numbers(1), [_tensor([1], [1, 1])] * 2, {}, ("same name",)),
    "an unknown output": (
        builders.numbers(1), [_tensor([1], [1, 1])], {"outputs": [{"name": "probs"}]}, ("'probs'", "'predict'"),
    ),
    "an id that is no text": (builders.numbers(1), [_tensor([1], [1, 1])], {"id": 7}, ("$.id", "str")),
    "a tensor without data": (
        builders.numbers(1), [{"name": "X", "shape": [1, 1], "datatype": "FP64"}], {}, ("'X'", "`data`"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_is_refused_in_words(case: str) -> None:
    signature, inputs, fields, words = REFUSED[case]
    with pytest.raises(errors.InvalidInput) as caught:
        _decode(signature, *inputs, **fields)
    for word in words:
        assert word in caught.value.message
    assert len(caught.value.message) < 400


HALF_PAIR = rb"""{"inputs": [{"name": "X", "shape": [1], "datatype": "BYTES", "data": ["\ud800"]}]}"""


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"inputs": 1}', b'{"inputs": [NaN]}', b"\xff", HALF_PAIR]
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(errors.InvalidInput):
        v2.decode_request(body, builders.numbers(1))


@hypothesis.given(
    st_numpy.arrays(
        dtype=st.sampled_from([np.bool_, np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64]),
        shape=st_numpy.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    st.booleans(),
)
def test_an_array_comes_back_as_it_went(array: Any, nested: bool) -> None:
    """What the response encoder writes is what the request decoder reads."""
    sent = _answer({"predict": array})
    tensor = sent["outputs"][0]
    assert tensor["shape"] == list(array.shape)
    if nested:
        tensor["data"] = array.tolist()
    table = _decode(builders.numbers(array.shape[1]), tensor).request.inputs["X"]
    assert table.tolist() == array.astype(np.float64).tolist()


def test_a_response_says_what_it_holds() -> None:
    answer = _answer({"predict": np.array(["a", "b"])}, model_name="iris", request_id="id-1")
    assert answer == {
        "model_name": "iris",
        "model_version": "1",
        "id": "id-1",
        "outputs": [{"name": "predict", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}],
    }


def test_a_response_has_no_id_when_the_request_had_none() -> None:
    assert "id" not in _answer({"predict": np.array([1.0])})


METADATA = {
    "numbers": (builders.numbers(3), [{"name": "X", "datatype": "FP64", "shape": [-1, 3]}]),
    "unknown width": (
        models.Signature(features=None),
        [{"name": "X", "datatype": "FP64", "shape": [-1, -1]}],
    ),
    "names": (
        builders.PEOPLE,
        [
            {"name": "age", "datatype": "FP64", "shape": [-1, 1]},
            {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
        ],
    ),
    "documents": (builders.DOCUMENTS, [{"name": "X", "datatype": "BYTES", "shape": [-1]}]),
}


@pytest.mark.parametrize("case", METADATA)
def test_metadata_describe_the_inputs(case: str) -> None:
    signature, expected = METADATA[case]
    assert v2_metadata.describe_inputs(signature) == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["X", "age", "city", "income"]),
        "shape": st.lists(st.integers(0, 3), max_size=3),
        "datatype": st.sampled_from(["FP64", "FP32", "INT8", "UINT64", "BOOL", "BYTES"]),
        "data": JSON,
    }
)
SIGNATURES = st.sampled_from(
    [
        builders.numbers(1),
        builders.numbers(2, allows_missing=True),
        builders.PEOPLE,
        builders.DOCUMENTS,
        BY_NAME,
    ]
)


@hypothesis.given(st.lists(TENSORS, max_size=2), SIGNATURES)
def test_any_tensors_are_a_table_or_a_refusal(
    inputs: list[dict[str, Any]], signature: models.Signature
) -> None:
    try:
        table = _decode(signature, *inputs).request.inputs["X"]
    except errors.InvalidInput:
        return
    assert table.shape[0] > 0
    assert signature.features is not None
    assert signature.takes_documents or table.shape[1] == len(signature.features)
