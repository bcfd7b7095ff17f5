"""`/predict` takes and gives CSV and NumPy files, as its headers say; nothing in a file is believed or run."""

import io
import pickle
from typing import Any

import hypothesis
import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import exchange, predict
from tests.unit.runtime import builders

MIXED = builders.named(age=models.Kind.NUMBER, city=models.Kind.TEXT, code=models.Kind.ANY)


def _npy(array: Any, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=allow_pickle)
    return stream.getvalue()


def _call(body: bytes, form: bytes, signature: models.Signature, accept: bytes = b"*/*") -> predict.Call:
    return predict.decode(exchange.Message(body, {b"content-type": form, b"accept": accept}), signature, "m")


TAKEN: dict[str, tuple[models.Signature, bytes, bytes, Any]] = {
    "CSV without names": (builders.numbers(2), exchange.CSV, b"1,2.5\r\n-3e2,0\r\n", [[1.0, 2.5], [-300.0, 0.0]]),
    "CSV with names, in any order": (
        MIXED, exchange.CSV, b'city,age,code\n"Oslo, N",30,7\n', [[30.0, "Oslo, N", 7.0]],
    ),
    "CSV with a byte order mark and blank lines": (
        builders.numbers(1), b"text/csv; charset=utf-8", b"\xef\xbb\xbf1\n\n2\n", [[1.0], [2.0]],
    ),
    "CSV of documents": (builders.DOCUMENTS, b"application/csv", b'"a, b"\nc\n', ["a, b", "c"]),
    "text that looks like a number": (MIXED, exchange.CSV, b"age,city,code\n1,007,1_0\n", [[1.0, "007", "1_0"]]),
    "a file of floats": (builders.numbers(2), exchange.NPY, _npy([[1.0, 2.0]]), [[1.0, 2.0]]),
    "a file in Fortran's order": (
        builders.numbers(2), exchange.NPY, _npy(np.asfortranarray([[1.0, 2.0], [3.0, 4.0]])), [[1.0, 2.0], [3.0, 4.0]],
    ),
    "a file of big-endian integers": (
        builders.numbers(1), exchange.NPY, _npy(np.array([[1], [2]], ">i4")), [[1.0], [2.0]],
    ),
    "a flat file, one feature": (builders.numbers(1), exchange.NPY, _npy([1.0, 2.0]), [[1.0], [2.0]]),
    "a file of texts": (builders.DOCUMENTS, exchange.NPY, _npy(["a", "ø"]), ["a", "ø"]),
    "a file of bytes": (builders.DOCUMENTS, exchange.NPY, _npy(["ø".encode()]), ["ø"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_file_is_taken(case: str) -> None:
    signature, form, body, expected = TAKEN[case]
    assert _call(body, form, signature).request.inputs[models.TABLE].tolist() == expected


def test_missing_values_in_files() -> None:
    signature = builders.numbers(2, allows_missing=True)
    for form, body in ((exchange.CSV, b"1,\nnan,2\n"), (exchange.NPY, _npy([[1, np.nan], [np.nan, 2]]))):
        table = _call(body, form, signature).request.inputs[models.TABLE]
        assert np.isnan(table).tolist() == [[False, True], [True, False]]


def test_a_tensor_in_a_file() -> None:
    array = np.ones((2, 3), np.float32)
    request = _call(_npy(array), exchange.NPY, builders.RECURRENT).request
    assert request.inputs["x"].tolist() == array.tolist()


class Canary:
    """Would be made by a pickle that is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


HUGE = _npy([[1.0, 2.0]]).replace(b"(1, 2)", b"(1099511627776, 1099511627776)")
REFUSED: dict[str, tuple[models.Signature, bytes, bytes, str]] = {
    "no rows": (builders.numbers(1), exchange.CSV, b"", "no rows"),
    "a header alone": (MIXED, exchange.CSV, b"age,city,code\n", "no rows"),
    "a missing column": (MIXED, exchange.CSV, b"age,city\n1,a\n", "lacks the feature 'code'"),
    "a column twice": (MIXED, exchange.CSV, b"age,city,code,age\n1,a,1,1\n", "same name"),
    "a short line": (MIXED, exchange.CSV, b"age,city,code\n1,a\n", "row 0"),
    "a short line without a header": (builders.numbers(2), exchange.CSV, b"1,2\n3\n", "row 1"),
    "text for a number": (builders.numbers(2), exchange.CSV, b"1,x\n", "row 0, feature 1 is text 'x'"),
    "infinity": (builders.numbers(1), exchange.CSV, b"-inf\n", "number"),
    "an empty cell": (builders.numbers(2), exchange.CSV, b"1,\n", "no missing values"),
    "an open quote": (builders.numbers(1), exchange.CSV, b'"1\n', "not valid CSV"),
    "a cell without end": (builders.DOCUMENTS, exchange.CSV, b"a" * 200_000, "not valid CSV"),
    "CSV in Latin-1": (builders.DOCUMENTS, exchange.CSV, b"\xf8", "UTF-8"),
    "no file": (builders.numbers(1), exchange.NPY, b"", "numpy.save"),
    "a pickle": (builders.numbers(1), exchange.NPY, pickle.dumps(Canary()), "numpy.save"),
    "a pickle in a file": (builders.numbers(1), exchange.NPY, _npy(np.array([Canary()], object), True), "not taken"),
    "a structure": (builders.numbers(1), exchange.NPY, _npy(np.zeros(1, [("a", "f8")])), "not taken"),
    "complex numbers": (builders.numbers(1), exchange.NPY, _npy([[1j]]), "not taken"),
    "a shape of exabytes": (builders.numbers(2), exchange.NPY, HUGE, "of data"),
    "another width": (builders.numbers(2), exchange.NPY, _npy([[1.0]]), "2 features"),
    "three dimensions": (builders.numbers(1), exchange.NPY, _npy([[[1.0]]]), "[1, 1, 1]"),
    "an empty file": (builders.numbers(1), exchange.NPY, _npy(np.zeros((0, 1))), "no rows"),
    "not a number": (builders.numbers(1), exchange.NPY, _npy([[np.nan]]), "NaN"),
    "an infinite number": (builders.numbers(1, allows_missing=True), exchange.NPY, _npy([[np.inf]]), "infinite"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused_in_words(case: str) -> None:
    signature, form, body, word = REFUSED[case]
    with pytest.raises(errors.InvalidInput) as caught:
        _call(body, form, signature)
    assert word in caught.value.message
    assert len(caught.value.message) < 400


def test_answers_are_written_as_accepted() -> None:
    classifier = msgspec.structs.replace(
        builders.numbers(1),
        outputs=(
            models.TensorSpec("predict", "BYTES", (-1,)),
            models.TensorSpec(models.PROBABILITY, "FP64", (-1, 2)),
        ),
        on_request=frozenset({models.PROBABILITY}),
        classes=("no", "yes"),
    )
    outputs = {"predict": np.array(["no", "a,b"], object)}
    both = {**outputs, models.PROBABILITY: np.array([[0.75, 0.25], [0.5, np.nan]])}
    call = _call(b"1\n2\n", exchange.CSV, classifier, b"text/html;q=0.5, text/csv;q=0.9")
    assert call.encode(outputs).body == b'y_pred\nno\n"a,b"\n'
    assert call.encode(both).body == b'y_pred,y_proba_no,y_proba_yes\nno,0.75,0.25\n"a,b",0.5,\n'
    call = _call(b"1\n2\n", exchange.CSV, classifier, exchange.NPY)
    response = call.encode(outputs)
    assert response.content_type == exchange.NPY
    assert np.load(io.BytesIO(response.body)).tolist() == ["no", "a,b"]
    with pytest.raises(errors.NotAcceptable, match="one array"):
        call.encode(both)


ACCEPTS: list[tuple[bytes, bytes]] = [
    (b"application/json, text/plain, */*", exchange.JSON),
    (b"text/csv, application/json;q=0.9", exchange.CSV),
    (b"text/*", exchange.CSV),
    (b"application/*", exchange.JSON),
    (b"application/x-npy;q=1.0;v=2, */*;q=0.1", exchange.NPY),
    (b"*/*;q=0.1, text/csv;q=x", exchange.JSON),
]


@pytest.mark.parametrize(("accept", "form"), ACCEPTS)
def test_the_form_that_is_liked_best_is_chosen(accept: bytes, form: bytes) -> None:
    assert _call(b"1\n", exchange.CSV, builders.numbers(1), accept).form == form


@pytest.mark.parametrize("accept", [b"text/html", b"text/csv;q=0", b"", b"application/json;q=0, image/*"])
def test_a_form_that_there_is_none_in_is_refused(accept: bytes) -> None:
    with pytest.raises(errors.NotAcceptable):
        _call(b"1\n", exchange.CSV, builders.numbers(1), accept)


SIGNATURES = st.sampled_from([builders.numbers(2), MIXED, builders.DOCUMENTS, builders.RECURRENT])
HEADER = _npy([[1.0, 2.0]])[:80]


@hypothesis.given(
    st.binary(max_size=60) | st.text(alphabet='12,"\n\r.-einfa', max_size=30).map(str.encode),
    st.sampled_from([exchange.CSV, exchange.NPY]),
    SIGNATURES,
    st.integers(0, 80),
)
def test_any_file_is_a_request_or_a_refusal(
    body: bytes, form: bytes, signature: models.Signature, begins: int
) -> None:
    start = HEADER[:begins] if form == exchange.NPY else b""
    try:
        request = _call(start + body, form, signature).request
    except (errors.InvalidInput, errors.UnsupportedMedia):
        return
    assert request.rows > 0
