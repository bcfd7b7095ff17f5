"""Whatever bytes come: each protocol's decoder gives a request or a refusal in words, soon, and without much memory."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import exchange, mlflow, predict, recognition, v1, v2
from tests.unit.runtime import builders

Decode = Callable[[exchange.Message, models.Signature, str], exchange.Call]
SIGNATURES = [
    builders.numbers(1), builders.numbers(2, allows_missing=True), builders.PEOPLE, builders.DOCUMENTS,
    builders.RECURRENT, models.Signature(features=None),
]  # fmt: skip


def _decode(protocol: str, body: bytes, signature: models.Signature) -> models.Request:
    if protocol == "samples":
        return recognition.decode(body, signature)
    decoders: dict[str, Decode] = {
        "predict": predict.decode,
        "v1": v1.decode,
        "v2": v2.decode,
        "mlflow": mlflow.decode,
    }
    return decoders[protocol](exchange.Message(body), signature, "m").request


PROTOCOLS = ["predict", "v1", "v2", "mlflow", "samples"]
DEEP = b"[" * 100_000 + b"]" * 100_000
WIDE = b"[[" + b",".join([b"1"] * 200_000) + b"]]"


def _in_every_field(value: bytes) -> dict[str, bytes]:
    """A body of each protocol, with the same value where the data go."""
    tensor = b'[{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": ' + value + b"}]"
    return {
        "predict": b'{"X": ' + value + b"}",
        "v1": b'{"instances": ' + value + b"}",
        "v2": b'{"inputs": ' + tensor + b"}",
        "mlflow": b'{"dataframe_split": {"columns": ["x"], "data": ' + value + b"}}",
        "samples": value,
    }


HOSTILE: dict[str, bytes] = {
    "lists in lists": DEEP,
    "lists in rows": b"[[" + DEEP + b"]]",
    "objects in objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "features without end": WIDE,
    "a number beyond all": b"[[1e400, 1, 1]]",
    "an integer of a million digits": b"[[" + b"9" * 1_000_000 + b"]]",
    "bytes that are no text": b'[["\xff\xfe"]]',
    "half a surrogate": rb'[["\ud800"]]',
    "nothing": b"",
    "NUL": b"\x00",
    "a list without end": b"[[1,",
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_body_is_refused_in_words(case: str, protocol: str) -> None:
    body = _in_every_field(HOSTILE[case])[protocol]
    # How long a tensor may be is for its model to say.
    for signature in SIGNATURES[1:4] if case == "features without end" else SIGNATURES[1:5]:
        tracemalloc.start()
        try:
            with pytest.raises(errors.InvalidInput) as caught:
                _decode(protocol, body, signature)
            assert tracemalloc.get_traced_memory()[1] < 40 * len(body) + 1_000_000
        finally:
            tracemalloc.stop()
        assert 0 < len(caught.value.message) < 600


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["x", "h", "age", "city", "columns", "data", "seed"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
FIELDS = [
    "X", "x", "h", "instances", "inputs", "dataframe_split", "dataframe_records", "parameters", "params", "outputs",
]  # fmt: skip
BODIES = (
    st.binary(max_size=40)
    | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3).map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value).encode())
)


@hypothesis.given(BODIES, st.sampled_from(PROTOCOLS), st.sampled_from(SIGNATURES))
@hypothesis.settings(max_examples=300)
def test_any_body_is_a_request_or_a_refusal(body: bytes, protocol: str, signature: models.Signature) -> None:
    try:
        request = _decode(protocol, body, signature)
    except errors.InvalidInput:
        return
    assert request.rows > 0
    assert request.inputs


def test_of_two_members_of_one_name_the_last_counts() -> None:
    bodies: dict[str, Any] = {
        "predict": b'{"X": [[9]], "X": [[1]]}',
        "v1": b'{"instances": [[9]], "instances": [[1]]}',
        "mlflow": b'{"inputs": [[9]], "inputs": [[1]]}',
    }
    for protocol, body in bodies.items():
        assert _decode(protocol, body, builders.numbers(1)).inputs[models.TABLE].tolist() == [[1.0]]
