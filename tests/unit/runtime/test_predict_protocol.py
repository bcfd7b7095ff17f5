"""`/predict` bodies become tables, or a sentence that names the row, the feature and the remedy."""

import json
import math
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import predict
from tests.unit.runtime import builders


def _table(body: bytes, signature: models.Signature) -> models.Table:
    return predict.decode_request(body, signature).inputs[models.TABLE]


UNKNOWN_WIDTH = models.Signature(features=None)
NUMBERS_BY_NAME = builders.named(age=models.Kind.NUMBER, income=models.Kind.NUMBER)

TAKEN: dict[str, tuple[models.Signature, str, Any]] = {
    "rows of numbers": (builders.numbers(2), '{"X": [[1, 2.5], [-3e2, 0]]}', [[1.0, 2.5], [-300.0, 0.0]]),
    "a flat list, for a model of one feature": (builders.numbers(1), '{"X": [1, 2]}', [[1.0], [2.0]]),
    "rows, for a model of one feature": (builders.numbers(1), '{"X": [[1], [2]]}', [[1.0], [2.0]]),
    "a flat list, when the width is unknown": (UNKNOWN_WIDTH, '{"X": [1, 2]}', [[1.0], [2.0]]),
    "rows of any width, when it is unknown": (UNKNOWN_WIDTH, '{"X": [[1, 2, 3]]}', [[1.0, 2.0, 3.0]]),
    "rows as objects, in any order": (
        NUMBERS_BY_NAME, '{"X": [{"income": 2, "age": 1}]}', [[1.0, 2.0]],
    ),
    "text and numbers": (builders.PEOPLE, '{"X": [[30, "Oslo"]]}', [[30.0, "Oslo"]]),
    "text and numbers as objects": (builders.PEOPLE, '{"X": [{"city": "Å", "age": 3}]}', [[3.0, "Å"]]),
    "documents": (builders.DOCUMENTS, '{"X": ["a b", "c"]}', ["a b", "c"]),
    "documents, one to a row": (builders.DOCUMENTS, '{"X": [["a b"], ["c"]]}', ["a b", "c"]),
    "an integer beyond 64 bits": (builders.numbers(1), '{"X": [[1000000000000000000000000]]}', [[1e24]]),
    "other fields beside X": (builders.numbers(1), '{"id": {"a": [1]}, "X": [[1]]}', [[1.0]]),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_body_is_taken(case: str) -> None:
    signature, body, expected = TAKEN[case]
    assert _table(body.encode(), signature).tolist() == expected


def test_null_is_a_missing_value_where_the_model_has_them() -> None:
    table = _table(b'{"X": [[1, null]]}', builders.numbers(2, allows_missing=True))
    assert table.dtype == np.float64
    assert math.isnan(table[0, 1])


REFUSED: dict[str, tuple[models.Signature, bytes, tuple[str, ...]]] = {
    "too few features": (builders.numbers(4), b'{"X": [[1, 2]]}', ("2 values per row", "4 features")),
    "too many features": (NUMBERS_BY_NAME, b'{"X": [[1, 2, 3]]}', ("3 values", "age, income")),
    "a flat list for several features": (builders.numbers(2), b'{"X": [1, 2]}', ("row 0", "[[0.5, 0.5]]")),
    "ragged rows": (builders.numbers(2), b'{"X": [[1, 2], [1]]}', ("row 1", "1 value", "row 0")),
    "empty rows": (builders.numbers(2), b'{"X": [[], []]}', ("empty", "2 features")),
    "no rows": (builders.numbers(2), b'{"X": []}', ("X is empty",)),
    "no rows, one feature": (builders.numbers(1), b'{"X": []}', ("X is empty",)),
    "text among numbers": (NUMBERS_BY_NAME, b'{"X": [[1, 2], [3, "x"]]}', ("row 1, feature 'income'", "'x'", "number")),
    "a number as text": (builders.numbers(1), b'{"X": ["1"]}', ("row 0, feature 0", "text '1'")),
    "a boolean among numbers": (builders.numbers(1), b'{"X": [[true]]}', ("row 0", "a boolean")),
    "null": (builders.numbers(2), b'{"X": [[1, null]]}', ("row 0, feature 1", "null", "no missing values")),
    "a list within a row": (builders.numbers(2), b'{"X": [[1, [2]]]}', ("row 0, feature 1", "a list")),
    "a number where text belongs": (builders.PEOPLE, b'{"X": [[1, 2]]}', ("feature 'city'", "a number", "text")),
    "text where a number belongs": (builders.PEOPLE, b'{"X": [["a", "b"]]}', ("feature 'age'", "number")),
    "a missing feature": (NUMBERS_BY_NAME, b'{"X": [{"age": 1}]}', ("row 0", "lacks", "'income'")),
    "an unknown feature": (
        NUMBERS_BY_NAME, b'{"X": [{"age": 1, "income": 2, "shoe": 3}]}', ("unknown feature 'shoe'", "age, income"),
    ),
    "objects for a model without names": (builders.numbers(2), b'{"X": [{"a": 1}]}', ("without feature names",)),
    "a number for documents": (builders.DOCUMENTS, b'{"X": [1]}', ("row 0", "text")),
    "a number too large": (builders.numbers(2), b'{"X": [[1, 2], [1e400, 0]]}', ("row 1, feature 0", "too large")),
    "a flat number too large": (builders.numbers(1), b'{"X": [0, 1e400]}', ("row 1, feature 0", "too large")),
    "an integer of 5,000 digits": (builders.numbers(1), b"{\"X\": [[" + b"9" * 5000 + b"]]}", ("row 0", "too large")),
    "an integer too large": (builders.PEOPLE, b'{"X": [[' + b"9" * 400 + b', "a"]]}', ("feature 'age'", "too large")),
    "NaN": (builders.numbers(1), b'{"X": [[NaN]]}', ("JSON has no NaN",)),
    "infinity": (builders.numbers(1), b'{"X": [[-Infinity]]}', ("JSON has no Infinity",)),
    "an empty body": (builders.numbers(1), b"", ("empty",)),
    "white space": (builders.numbers(1), b" \n", ("empty",)),
    "half a body": (builders.numbers(1), b'{"X": [[1', ("not valid JSON", "truncated")),
    "two documents": (builders.numbers(1), b'{"X": [[1]]} {}', ("not valid JSON", "trailing")),
    "a trailing comma": (builders.numbers(1), b'{"X": [[1],]}', ("not valid JSON",)),
    "a form": (builders.numbers(1), b"X=1", ("not valid JSON",)),
    "a list instead of an object": (builders.numbers(2), b"[[1, 2]]", ('"X"', "[[0.5, 0.5]]")),
    "no X": (builders.numbers(1), b'{"x": [[1]]}', ('"X"',)),
    "X that is no list": (builders.numbers(2), b'{"X": {"a": 1}}', ("an object", "list of rows")),
    "X that is text": (builders.PEOPLE, b'{"X": "[[1]]"}', ("text", '[[0.5, "text"]]')),
    "bytes that are not UTF-8, outside of X": (builders.numbers(1), b'{"a": "\xff", "X": [[1]]}', ("UTF-8",)),
    "bytes that are not UTF-8, in X": (builders.PEOPLE, b'{"X": [[1, "\xff"]]}', ("UTF-8",)),
    "UTF-16": (builders.numbers(1), '{"X": [[1]]}'.encode("utf-16"), ("UTF-8",)),
    "a byte order mark": (builders.numbers(1), b'\xef\xbb\xbf{"X": [[1]]}', ("byte order mark",)),
    "half a surrogate pair": (builders.PEOPLE, rb'{"X": [[1, "\ud800"]]}', ("not valid JSON",)),
    "lists in lists in lists": (builders.numbers(1), b'{"X": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ("nested",)),
    "depth beside X": (
        builders.numbers(1), b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b', "X": [[1]]}', ("nested",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_body_is_refused_in_words(case: str) -> None:
    signature, body, words = REFUSED[case]
    with pytest.raises(errors.InvalidInput) as caught:
        predict.decode_request(body, signature)
    for word in words:
        assert word in caught.value.message
    assert len(caught.value.message) < 400


SIGNATURES = st.sampled_from(
    [
        builders.numbers(1),
        builders.numbers(2),
        builders.PEOPLE,
        builders.DOCUMENTS,
        UNKNOWN_WIDTH,
        NUMBERS_BY_NAME,
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["X", "age", "city", "a"]), inner)
    ),
    max_leaves=10,
)


@hypothesis.given(
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps({"X": value}).encode()), SIGNATURES
)
def test_any_body_is_a_table_or_a_refusal(body: bytes, signature: models.Signature) -> None:
    try:
        table = _table(body, signature)
    except errors.InvalidInput:
        return
    assert table.shape[0] > 0
    if signature.features is not None and not signature.takes_documents:
        assert table.shape[1:] == (len(signature.features),)


@hypothesis.given(
    st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1)
)
def test_numbers_arrive_exactly(rows: list[list[float]]) -> None:
    table = _table(json.dumps({"X": rows}).encode(), builders.numbers(3))
    assert table.tolist() == rows


PREDICTIONS: dict[str, tuple[Any, str]] = {
    "floats": (np.array([0.5, 2.0]), '{"y_pred":[0.5,2.0]}'),
    "floats of 32 bits": (np.array([0.5], dtype=np.float32), '{"y_pred":[0.5]}'),
    "integers": (np.array([1, 2]), '{"y_pred":[1,2]}'),
    "booleans": (np.array([True, False]), '{"y_pred":[true,false]}'),
    "text": (np.array(["a", "ø"]), '{"y_pred":["a","ø"]}'),
    "objects": (np.array(["a", 1, None], dtype=object), '{"y_pred":["a",1,null]}'),
    "several outputs": (np.array([[1.0, 2.0], [3.0, 4.0]]), '{"y_pred":[[1.0,2.0],[3.0,4.0]]}'),
    "columns of a larger array": (np.array([[1, 2], [3, 4]])[:, 0], '{"y_pred":[1,3]}'),
    "what is not finite": (np.array([np.nan, np.inf]), '{"y_pred":[null,null]}'),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions_keep_their_type(case: str) -> None:
    predictions, expected = PREDICTIONS[case]
    call = predict.Call(models.Request({}, 1, frozenset()), UNKNOWN_WIDTH)
    assert call.encode({"predict": predictions}).body.decode() == expected
