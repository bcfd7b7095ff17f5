"""Binary tensors of the Open Inference Protocol: bytes become arrays uncopied, and lies about sizes are refused."""

import json
import struct
from typing import Any

import hypothesis
import hypothesis.extra.numpy as st_numpy
import hypothesis.strategies as st
import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import exchange, v2, v2_binary
from tests.unit.runtime import builders


def _message(header: Any, tail: bytes, stated: bytes | None = None) -> exchange.Message:
    text = json.dumps(header).encode()
    length = str(len(text)).encode() if stated is None else stated
    return exchange.Message(
        text + tail, {v2_binary.HEADER: length, b"content-type": b"application/octet-stream"}
    )


def _input(size: Any, shape: list[int], datatype: str = "FP64", name: str = "X") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": size}}


def _table(message: exchange.Message, signature: models.Signature) -> models.Table:
    return v2.decode(message, signature, "m").request.inputs[models.TABLE]


@pytest.mark.parametrize("datatype", ["BOOL", "UINT8", "INT16", "UINT32", "INT64", "FP16", "FP32", "FP64"])
def test_every_datatype_arrives(datatype: str) -> None:
    dtype = np.dtype(datatype.lower().replace("fp", "float"))
    data = np.array([[1, 0], [1, 1]], dtype)
    table = _table(
        _message({"inputs": [_input(data.nbytes, [2, 2], datatype)]}, data.tobytes()), builders.numbers(2)
    )
    assert table.tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_brain_floats_arrive() -> None:
    halves = (np.array([[1.5, -2.0]], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    table = _table(_message({"inputs": [_input(4, [1, 2], "BF16")]}, halves.tobytes()), builders.numbers(2))
    assert table.tolist() == [[1.5, -2.0]]


def test_texts_arrive_beside_numbers_in_json() -> None:
    text = "Øslo".encode()
    header = {
        "inputs": [
            {"name": "age", "shape": [1], "datatype": "INT64", "data": [30]},
            _input(4 + len(text), [1], "BYTES", "city"),
        ]
    }
    table = _table(_message(header, struct.pack("<I", len(text)) + text), builders.PEOPLE)
    assert table.tolist() == [[30.0, "Øslo"]]


def test_an_aligned_tensor_is_not_copied() -> None:
    data = np.arange(4.0).reshape(2, 2)
    header: dict[str, Any] = {"inputs": [_input(data.nbytes, [2, 2])], "id": ""}
    while (len(json.dumps(header)) + 32) % 8:  # the payload of a bytes object begins after 32 bytes
        header["id"] += "x"
    message = _message(header, data.tobytes())
    table = _table(message, builders.numbers(2))
    assert np.shares_memory(table, np.frombuffer(message.body, np.uint8))


RAW_FP64 = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_a_raw_request_is_the_one_input_and_its_answer_is_binary() -> None:
    call = v2.decode(exchange.Message(RAW_FP64.tobytes(), {v2_binary.HEADER: b"0"}), builders.numbers(2), "m")
    assert call.request.inputs["X"].tolist() == RAW_FP64.tolist()
    assert call.binary == {"predict"}


def _answer(call: v2.Call, outputs: models.Tensors) -> tuple[dict[str, Any], bytes]:
    response = call.encode(outputs)
    assert response.content_type == exchange.OCTETS
    [(name, length)] = response.headers
    assert name == v2_binary.HEADER
    return json.loads(response.body[: int(length)]), response.body[int(length) :]


@pytest.mark.parametrize(
    ("fields", "binary"),
    [
        ({"parameters": {"binary_data_output": True}}, ["y", "h_next"]),
        ({"outputs": [{"name": "h_next", "parameters": {"binary_data": True}}, {"name": "y"}]}, ["h_next"]),
        (
            {
                "outputs": [{"name": "y", "parameters": {"binary_data": False}}, {"name": "h_next"}],
                "parameters": {"binary_data_output": True},
            },
            ["h_next"],
        ),
    ],
)
def test_outputs_are_sent_as_bytes_where_asked(fields: dict[str, Any], binary: list[str]) -> None:
    body = {
        "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}],
        **fields,
        "id": "7",
    }
    call = v2.decode(exchange.Message(json.dumps(body).encode()), builders.RECURRENT, "m")
    outputs = {"y": np.array([[1.0, 2.0]], np.float32), "h_next": np.array([[3.0, 4.0]], np.float32)}
    header, tail = _answer(call, outputs)
    assert header["id"] == "7"
    sizes = {
        one["name"]: one["parameters"]["binary_data_size"] for one in header["outputs"] if "data" not in one
    }
    assert list(sizes) == binary
    assert tail == b"".join(outputs[name].tobytes() for name in binary)


def test_texts_are_written_with_their_length() -> None:
    body = {"inputs": [{"name": "X", "shape": [1, 1], "datatype": "FP64", "data": [1]}],
            "parameters": {"binary_data_output": True}}  # fmt: skip
    call = v2.decode(exchange.Message(json.dumps(body).encode()), builders.numbers(1), "m")
    header, tail = _answer(call, {"predict": np.array(["ø", ""], object)})
    assert header["outputs"][0]["datatype"] == "BYTES"
    assert tail == b"\x02\x00\x00\x00\xc3\xb8\x00\x00\x00\x00"


ONE = np.array([[1.0, 2.0]]).tobytes()
REFUSED: dict[str, tuple[exchange.Message, str]] = {
    "a header longer than the body": (_message({}, b"", b"99"), "has 2 bytes"),
    "a header that is no number": (_message({}, b"", b"-1"), "'-1'"),
    "a header of a thousand digits": (_message({}, b"", b"1" * 1000), "has 2 bytes"),
    "bytes that are not there": (_message({"inputs": [_input(16, [1, 2])]}, ONE[:8]), "8 bytes are left"),
    "a size of petabytes": (_message({"inputs": [_input(2**60, [2**30, 2**27])]}, ONE), "16 bytes are left"),
    "a shape of petabytes": (_message({"inputs": [_input(16, [2**30, 2**30])]}, ONE), "has 2"),
    "a size that is no number": (_message({"inputs": [_input("16", [1, 2])]}, ONE), "no"),
    "a negative size": (_message({"inputs": [_input(-1, [1, 2])]}, ONE), "bytes"),
    "half a number": (_message({"inputs": [_input(15, [1, 2])]}, ONE[:15]), "no whole number of FP64"),
    "bytes left over": (_message({"inputs": [_input(16, [1, 2])]}, ONE + b"x"), "1 bytes follow"),
    "data twice": (_message({"inputs": [_input(16, [1, 2]) | {"data": [1, 2]}]}, ONE), "both"),
    "NaN": (_message({"inputs": [_input(16, [1, 2])]}, np.array([1, np.nan]).tobytes()), "feature 1 is NaN"),
    "infinity": (_message({"inputs": [_input(16, [1, 2])]}, np.array([np.inf, 0]).tobytes()), "infinite"),
    "an unknown datatype": (_message({"inputs": [_input(16, [1, 2], "FP8")]}, ONE), "BF16"),
    "a text longer than what is left": (_message({"inputs": [_input(5, [1], "BYTES")]}, b"\xff\xff\xff\xffa"), "1 are"),
    "half a length": (_message({"inputs": [_input(2, [1], "BYTES")]}, b"\x00\x00"), "breaks off"),
    "a text that is none": (_message({"inputs": [_input(5, [1], "BYTES")]}, b"\x01\x00\x00\x00\xff"), "UTF-8"),
    "no header": (exchange.Message(json.dumps({"inputs": [_input(16, [1, 2])]}).encode()), "Inference-Header"),
    "shared memory": (_message({"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64",
                                            "parameters": {"shared_memory_region": "r"}}]}, b""), "shared memory"),
    "raw bytes that are no rows": (exchange.Message(b"x" * 24, {v2_binary.HEADER: b"0"}), "3 values"),
    "raw bytes, none": (exchange.Message(b"", {v2_binary.HEADER: b"0"}), "no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_is_refused_in_words(case: str) -> None:
    message, word = REFUSED[case]
    with pytest.raises(errors.InvalidInput) as caught:
        v2.decode(message, builders.numbers(2), "m")
    assert word in caught.value.message


def test_nan_is_a_missing_value_where_the_model_has_them() -> None:
    message = _message({"inputs": [_input(16, [1, 2])]}, np.array([1, np.nan]).tobytes())
    assert np.isnan(_table(message, builders.numbers(2, allows_missing=True))[0, 1])


@hypothesis.given(
    st_numpy.arrays(
        dtype=st.sampled_from(["bool", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"]),
        shape=st_numpy.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=5),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_what_is_written_is_what_is_read(array: Any) -> None:
    datatype, data = v2_binary.write(array)
    assert v2_binary.read(data, 0, len(data), datatype, "X").tolist() == array.ravel().tolist()


@hypothesis.given(
    st.binary(max_size=40),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["FP32", "BOOL", "BYTES", "INT64"]),
)
def test_any_bytes_are_a_table_or_a_refusal(tail: bytes, shape: list[int], datatype: str) -> None:
    message = _message({"inputs": [_input(len(tail), shape, datatype)]}, tail)
    for signature in (builders.numbers(2), builders.DOCUMENTS, builders.RECURRENT):
        try:
            request = v2.decode(message, signature, "m").request
        except errors.InvalidInput:
            continue
        assert request.rows > 0
