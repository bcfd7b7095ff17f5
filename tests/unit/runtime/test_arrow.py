"""`/predict` takes and gives Arrow streams: any of them is a request or a refusal, soon, and in little memory.

What pyarrow itself writes and reads is tried over HTTP in `tests/integration/runtime/test_arrow_client.py`.
"""

import struct
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import exchange, predict
from modelyard_runtime.protocols.arrow import flatbuffer, reader, schema, writer
from modelyard_runtime.protocols.arrow.flatbuffer import Items, Number
from tests.support import arrow_mutations
from tests.unit.runtime import builders

MIXED = builders.named(age=models.Kind.NUMBER, city=models.Kind.TEXT, code=models.Kind.ANY)


def _stream(**columns: Any) -> bytes:
    return writer.write({name: np.asarray(values) for name, values in columns.items()})


def _request(body: bytes, signature: models.Signature) -> models.Request:
    headers = {b"content-type": exchange.ARROW, b"accept": exchange.ARROW}
    return predict.decode(exchange.Message(body, headers), signature, "m").request


def _texts(*values: str | None) -> Any:
    return np.array(values, object)


TAKEN: dict[str, tuple[models.Signature, bytes, Any]] = {
    "numbers by place": (builders.numbers(2), _stream(a=[1.0, 2.0], b=[3, 4]), [[1.0, 3.0], [2.0, 4.0]]),
    "columns by name, in any order": (
        MIXED, _stream(city=_texts("Oslo"), code=np.array([7]), age=np.array([30], np.float32)), [[30.0, "Oslo", 7]],
    ),
    "truths for numbers": (builders.numbers(1), _stream(a=[True, False]), [[1.0], [0.0]]),
    "truths where anything goes": (
        MIXED, _stream(city=_texts("Oslo"), code=[True], age=[False]), [[0.0, "Oslo", True]],
    ),
    "a missing text": (MIXED, _stream(city=_texts(None), code=[np.nan], age=[1]), [[1.0, None, None]]),
    "documents": (builders.DOCUMENTS, _stream(text=_texts("a", "ø")), ["a", "ø"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_stream_is_taken(case: str) -> None:
    signature, body, expected = TAKEN[case]
    assert _request(body, signature).inputs[models.TABLE].tolist() == expected


def test_missing_numbers_are_nan() -> None:
    table = _request(_stream(a=[1.0, np.nan]), builders.numbers(1, allows_missing=True)).inputs[models.TABLE]
    assert np.isnan(table).tolist() == [[False], [True]]


def test_inputs_of_a_model_of_tensors_are_columns() -> None:
    x, h = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((2, 2), np.float32)
    request = _request(_stream(h=h, x=x), builders.RECURRENT)
    assert request.rows == 2
    assert {name: array.tolist() for name, array in request.inputs.items()} == {
        "x": x.tolist(),
        "h": h.tolist(),
    }
    assert _request(_stream(X=x), builders.RECURRENT).inputs["x"].tolist() == x.tolist()


def _batch(rows: int, nodes: list[tuple[int, int]], places: list[tuple[int, int]], content: bytes) -> bytes:
    """A record batch that claims whatever it is told to."""
    packed = [Items(len(one), b"".join(struct.pack("<2q", *pair) for pair in one)) for one in (nodes, places)]
    return _message(3, (Number("q", rows), *packed), content)


def _message(kind: int, header: tuple[Any, ...], content: bytes = b"") -> bytes:
    fields = (Number("h", 4), Number("B", kind), header, Number("q", len(content)))
    metadata = flatbuffer.build(fields)
    return b"\xff\xff\xff\xff" + struct.pack("<i", len(metadata)) + metadata + content


def _field(kind: int, *details: Number, name: str = "a", notes: Any = None) -> tuple[Any, ...]:
    return name, Number("?", 1), Number("B", kind), details, None, [], notes


def _schema(*fields: tuple[Any, ...], big_endian: int = 0) -> bytes:
    return _message(1, (Number("h", big_endian), list(fields)))


FLOATS = _field(schema.FLOAT, Number("h", 2))


def _one_field_for_all(count: int) -> bytes:
    """A schema whose columns are all the last one, which has a name of a megabyte."""
    last_field = _field(schema.FLOAT, Number("h", 2), name="a" * 10**6)
    metadata = bytearray(_schema(*[FLOATS] * (count - 1), last_field))
    start = metadata.index(struct.pack("<I", count)) + 4
    last = start + 4 * (count - 1)
    target = last + struct.unpack_from("<I", metadata, last)[0]
    for at in range(start, last, 4):
        struct.pack_into("<I", metadata, at, target - at)
    return bytes(metadata)


NOTES = [("ARROW:extension:name", "arrow.uuid")]
NUMBER = builders.numbers(1)
REFUSED: dict[str, tuple[models.Signature, bytes, str]] = {
    "nothing": (NUMBER, b"", "begin with a schema"),
    "no stream": (NUMBER, b'{"X": [[1]]}', "no message"),
    "a file": (NUMBER, b"ARROW1\0\0" + _stream(a=[1.0]), "new_stream"),
    "a schema alone": (NUMBER, _schema(FLOATS), "no rows"),
    "no rows": (NUMBER, _stream(a=np.zeros(0)), "no rows"),
    "no columns": (NUMBER, _schema() + _batch(1, [], [], b""), "no columns"),
    "big-endian numbers": (NUMBER, _schema(FLOATS, big_endian=1), "little-endian"),
    "timestamps": (NUMBER, _schema(_field(10)), "'a' of the Arrow stream has timestamps"),
    "lists of any size": (NUMBER, _schema(_field(12)), "has lists"),
    "an extension": (NUMBER, _schema(_field(schema.FLOAT, Number("h", 2), notes=NOTES)), "extension"),
    "another width": (builders.numbers(2), _stream(a=[1.0]), "2 features"),
    "a missing column": (MIXED, _stream(age=[1.0], code=[1]), "lacks the feature 'city'"),
    "an unknown column": (MIXED, _stream(age=[1.0], code=[1], town=_texts("x"), city=_texts("x")), "'town'"),
    "text for a number": (builders.numbers(1), _stream(a=_texts("x")), "row 0, feature 0 is text 'x'"),
    "a number for text": (MIXED, _stream(age=[1.0], code=[1], city=[5.0]), "'city' is a number"),
    "lists for numbers": (NUMBER, _stream(a=[[1.0, 2.0]]), "one column for each feature"),
    "NaN": (NUMBER, _stream(a=[1.0, np.nan]), "row 1, feature 0 is NaN"),
    "infinity": (builders.numbers(1, allows_missing=True), _stream(a=[np.inf]), "infinite"),
    "infinity beside text": (MIXED, _stream(age=[np.inf], code=[1], city=_texts("x")), "'age' is infinite"),
    "an unknown input": (builders.RECURRENT, _stream(z=[[1.0]]), "no input 'z'"),
    "an input of two lengths": (NUMBER, _stream(a=[1.0]) + b"\0", "follow its end"),
    "a cut body": (NUMBER, _stream(a=[1.0])[:-20], "ends within a message"),
    "more rows than bytes": (
        NUMBER, _schema(_field(schema.NOTHING)) + _batch(2**40, [(2**40, 0)], [], b""), "fewer rows",
    ),
    "a negative length": (NUMBER, _schema(FLOATS) + _batch(-1, [(-1, 0)], [(0, 0)] * 2, b""), "negative"),
    "a short buffer": (
        NUMBER, _schema(FLOATS) + _batch(2, [(2, 0)], [(0, 0), (0, 8)], bytes(8)), "too short",
    ),
    "a buffer elsewhere": (
        NUMBER, _schema(FLOATS) + _batch(1, [(1, 0)], [(0, 0), (2**62, 8)], bytes(8)), "beyond the end",
    ),
    "the same bytes for every column": (
        models.Signature(),
        _schema(FLOATS, FLOATS) + _batch(1, [(1, 0)] * 2, [(0, 0), (0, 8)] * 2, bytes(8)), "the same place",
    ),
    "one text for a thousand rows": (
        builders.DOCUMENTS,
        _schema(_field(schema.UTF8_VIEW))
        + _message(
            3,
            (
                Number("q", 1000), Items(1, struct.pack("<2q", 1000, 0)),
                Items(3, struct.pack("<6q", 0, 0, 0, 16000, 16000, 1000)), None, Items(1, struct.pack("<q", 1)),
            ),
            struct.pack("<iIii", 1000, 0, 0, 0) * 1000 + b"a" * 1000,
        ), "longer than its bytes",
    ),
    "columns without end": (models.Signature(), _schema(*[FLOATS] * 10_001), "columns; at most"),
    "a column that is thousands": (models.Signature(), _one_field_for_all(9_000), "again and again"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_stream_is_refused_in_words(case: str) -> None:
    signature, body, word = REFUSED[case]
    tracemalloc.start()
    try:
        with pytest.raises(errors.InvalidInput) as caught:
            _request(body, signature)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(body) + 1_000_000
    finally:
        tracemalloc.stop()
    assert word in caught.value.message
    assert len(caught.value.message) < 400


STREAMS = [body for _, body, _ in TAKEN.values()] + [_stream(x=np.ones((2, 3), np.float32))]


def test_a_damaged_stream_is_a_request_or_a_refusal() -> None:
    read, refused = 0, []
    for body in arrow_mutations.mutations(STREAMS, 5000, seed=5):
        try:
            columns = reader.read(body, None)
        except errors.InvalidInput as error:
            refused.append(error.message)
        else:
            read += 1
            assert len({len(values) for _, values in columns}) == 1
    assert min(read, len(refused)) > 100
    assert all(0 < len(message) < 400 for message in refused)


def test_an_answer_is_written_as_columns() -> None:
    outputs = {"predict": _texts("no", None), models.PROBABILITY: np.array([[0.75, 0.25], [0.5, np.nan]])}
    classifier = msgspec.structs.replace(
        NUMBER,
        classes=("no", "yes"),
        outputs=tuple(models.TensorSpec(name, "FP64", (-1,)) for name in outputs),
    )
    call = predict.Call(_request(_stream(a=[1.0]), NUMBER), classifier, exchange.ARROW)
    response = call.encode(outputs)
    assert response.content_type == exchange.ARROW
    found = {name: values.tolist() for name, values in reader.read(response.body, None)}
    assert found.pop("y_proba_yes")[0] == 0.25
    assert found == {"y_pred": ["no", None], "y_proba_no": [0.75, 0.5]}
    with pytest.raises(errors.NotAcceptable, match="no table of rows"):
        call.encode({"predict": np.array(1.0)})


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f8"]
)
@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 5)])
def test_what_is_written_is_read(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    ((name, values),) = reader.read(writer.write({"ø": array}), None)
    assert (name, values.tolist()) == ("ø", array.tolist())
    assert values.dtype == np.dtype(dtype).newbyteorder("<")
