"""`serve` as a process: it predicts what scikit-learn predicts, and no request brings it out of its step."""

import concurrent.futures
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.integration.runtime import processes

CANCER = load_breast_cancer(as_frame=True)
IRIS = load_iris()


@pytest.fixture(scope="module")
def forest() -> RandomForestClassifier:
    """A forest fitted on a DataFrame of 30 named columns."""
    return RandomForestClassifier(20, random_state=0).fit(CANCER.data, CANCER.target)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, forest: RandomForestClassifier
) -> Iterator[processes.Serving]:
    """The forest, served; after all tests the same process must still be there, with nothing to complain of."""
    with processes.serving(tmp_path_factory.mktemp("forest"), forest, "forest") as serving:
        yield serving
        assert serving.predict(CANCER.data.iloc[:5].to_numpy().tolist()) == CANCER.target.iloc[:5].tolist()
        assert serving.process.poll() is None
        assert "Traceback" not in serving.log
        assert '"level": "error"' not in serving.log


def test_predictions_are_scikit_learns(server: processes.Serving, forest: RandomForestClassifier) -> None:
    rows = CANCER.data.iloc[::7]
    expected = forest.predict(rows).tolist()
    assert server.predict(rows.to_numpy().tolist()) == expected
    assert server.predict(rows.to_dict(orient="records")) == expected
    matrix = {
        "name": "X",
        "shape": list(rows.shape),
        "datatype": "FP64",
        "data": rows.to_numpy().ravel().tolist(),
    }
    columns = [
        {"name": name, "shape": [len(rows), 1], "datatype": "FP64", "data": rows[name].tolist()}
        for name in rows
    ]
    for inputs in ([matrix], columns):
        answer = server.client.post("/v2/models/forest/infer", json={"inputs": inputs, "id": "7"}).json()
        assert answer["id"] == "7"
        assert answer["outputs"][0]["data"] == expected
        assert answer["outputs"][0]["datatype"] == "INT64"


def _people() -> tuple[Any, Any]:
    frame = pd.DataFrame({"age": [30.0, 40, 50, 60] * 5, "city": ["Oslo", "Rome", "Oslo", "Paris"] * 5})
    columns = ColumnTransformer([("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["city"])])
    estimator = make_pipeline(columns, LogisticRegression()).fit(frame, ["no", "yes", "no", "yes"] * 5)
    return estimator, frame


def test_a_pipeline_of_text_and_numbers(tmp_path: Path) -> None:
    estimator, frame = _people()
    expected = estimator.predict(frame).tolist()
    with processes.serving(tmp_path, estimator) as server:
        assert server.predict(frame.to_dict(orient="records")) == expected
        assert server.predict(frame.to_numpy(dtype=object).tolist()) == expected
        code, message = server.refused(b'{"X": [[30, "Atlantis"]]}')
        assert (code, "Atlantis" in message) == (400, True)
        described = server.client.get("/v2/models/m").json()["inputs"]
        assert [(one["name"], one["datatype"]) for one in described] == [("age", "FP64"), ("city", "BYTES")]


OTHERS: dict[str, tuple[Any, Any]] = {
    "a line, one feature, flat": (
        LinearRegression().fit(np.arange(10.0).reshape(-1, 1), 2 * np.arange(10.0) + 1), [1, 2, 10],
    ),
    "several outputs": (LinearRegression().fit(IRIS.data[:, :2], IRIS.data[:, 2:]), IRIS.data[:9, :2].tolist()),
    "labels that are text": (
        make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS.data, IRIS.target_names[IRIS.target]),
        IRIS.data[::20].tolist(),
    ),
    "labels that are booleans": (KNeighborsClassifier(1).fit(IRIS.data, IRIS.target == 1), IRIS.data[::20].tolist()),
    "missing values": (
        HistGradientBoostingClassifier(max_iter=5).fit(IRIS.data, IRIS.target),
        [[None, 1.0, 2.0, 0.5], [5.0, None, None, 2.0]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_other_models(tmp_path: Path, case: str) -> None:
    estimator, rows = OTHERS[case]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    with processes.serving(tmp_path, estimator) as server:
        assert server.predict(rows) == estimator.predict(table).tolist()


def test_null_is_for_models_that_take_missing_values(tmp_path: Path) -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS.data, IRIS.target)
    with processes.serving(tmp_path, estimator) as server:
        code, message = server.refused(b'{"X": [[null, 1, 2, 3]]}')
        assert (code, "missing values" in message) == (400, True)


def test_documents(tmp_path: Path) -> None:
    texts = ["good thing", "bad thing", "very good", "very bad"]
    estimator = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, ["+", "-", "+", "-"])
    with processes.serving(tmp_path, estimator) as server:
        assert server.predict(["so good", "so bad"]) == ["+", "-"]
        tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}
        answer = server.client.post("/v2/models/m/infer", json={"inputs": [tensor]}).json()
        assert answer["outputs"] == [{"name": "predict", "shape": [1], "datatype": "BYTES", "data": ["+"]}]


ONES = b", ".join([b"1"] * 29)
ROW = b'{"X": [[%s, ' + ONES + b"]]}"

BAD_INPUT: dict[str, tuple[bytes, int, tuple[str, ...]]] = {
    "too few features": (b'{"X": [[1, 2, 3]]}', 400, ("3 values", "30 features", "mean radius")),
    "NaN": (ROW % b"NaN", 400, ("no NaN",)),
    "infinity": (ROW % b"-Infinity", 400, ("no Infinity",)),
    "1e400": (ROW % b"1e400", 400, ("row 0, feature 'mean radius'", "too large")),
    "an integer of 5,000 digits": (ROW % (b"9" * 5000), 400, ("row 0", "too large")),
    "text": (ROW % b'"old"', 400, ("row 0, feature 'mean radius'", "'old'", "number")),
    "a boolean": (ROW % b"true", 400, ("row 0", "boolean")),
    "ragged rows": (b'{"X": [[1, ' + ONES + b"], [1]]}", 400, ("row 1", "1 value")),
    "an unknown feature": (b'{"X": [{"age": 1}]}', 400, ("'mean radius'",)),
    "an empty body": (b"", 400, ("empty",)),
    "no rows": (b'{"X": []}', 400, ("empty",)),
    "no X": (b"{}", 400, ('"X"',)),
    "no JSON": (b"X=1", 400, ("not valid JSON",)),
    "half of it": (b'{"X": [[1, 2', 400, ("not valid JSON",)),
    "100,000 levels": (b'{"X": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, ("nested",)),
    "100,000 levels beside X": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, ("nested",)),
    "a million features": (b'{"X": [[' + b"1," * 999_999 + b"1]]}", 400, ("1000000 values", "30 features")),
    "bytes that are not UTF-8": (b'{"a": "\xff"}', 400, ("UTF-8",)),
    "UTF-16": ('{"X": [[1]]}'.encode("utf-16"), 400, ("UTF-8",)),
    "half a surrogate pair": (ROW % rb'"\ud800"', 400, ("not valid JSON",)),
    "50 MB": (b'{"X": [[' + b"1," * (25 * 1024 * 1024) + b"1]]}", 413, ("16777216 bytes",)),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_the_callers_fault(server: processes.Serving, case: str) -> None:
    body, code, words = BAD_INPUT[case]
    answered, message = server.refused(body)
    assert answered == code, message
    for word in words:
        assert word in message
    assert len(message) < 500
    assert server.client.get("/livez").status_code == 200


BAD_INFER: dict[str, tuple[Any, tuple[str, ...]]] = {
    "an empty object": ({}, ("inputs",)),
    "no inputs": ({"inputs": []}, ("inputs is empty",)),
    "another width": (
        {"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}, ("[1, 2]", "[-1, 30]"),
    ),
    "text": (
        {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "FP64", "data": ["a"] * 30}]}, ("'X', data[0]",),
    ),
    "text, stated as such": (
        {"inputs": [{"name": "X", "shape": [1, 30], "datatype": "BYTES", "data": ["a"] * 30}]}, ("row 0", "'a'"),
    ),
    "a shape of petabytes": (
        {"inputs": [{"name": "X", "shape": [2**31, 2**31], "datatype": "FP64", "data": [1]}]}, ("has 1",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_INFER)
def test_bad_input_of_the_open_inference_protocol(server: processes.Serving, case: str) -> None:
    request, words = BAD_INFER[case]
    code, message = server.refused(json.dumps(request).encode(), "/v2/models/forest/infer")
    assert code == 400
    for word in words:
        assert word in message


def test_what_is_not_there(server: processes.Serving) -> None:
    assert server.refused(b'{"X": [[1]]}', **{"content-type": "text/plain"})[0] == 415
    assert server.client.get("/nothing").status_code == 404
    assert server.client.get("/predict").status_code == 405
    assert server.client.get("/v2/models/rose").status_code == 404
    assert server.client.post("/v2/models/rose/infer", json={}).status_code == 404


def test_a_large_body_is_not_kept(server: processes.Serving) -> None:
    before = server.rss_bytes
    for _ in range(3):
        assert server.refused(b"1," * (25 * 1024 * 1024))[0] == 413
    assert server.rss_bytes - before < 20 * 1024**2


def test_a_large_body_without_a_length_is_read_to_the_limit(server: processes.Serving) -> None:
    before = server.rss_bytes
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        sent_bytes = 0
        try:
            while sent_bytes < 200 * 1024**2:
                connection.sendall(chunk)
                sent_bytes += 0x100000
            answer = connection.recv(4096)
        except (BrokenPipeError, ConnectionResetError):
            answer = _rest(connection)
    assert sent_bytes < 40 * 1024**2  # 16 MiB, and what the sockets hold
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert server.rss_bytes - before < 60 * 1024**2
    assert server.client.get("/livez").status_code == 200


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_client_that_reads_the_refusal_of_a_chunked_body_gets_it(server: processes.Serving) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(17):
            yield b" " * 0x100000

    answer = server.client.post("/predict", content=body(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_metadata_openapi_and_metrics_speak_of_this_model(server: processes.Serving) -> None:
    metadata = server.client.get("/v2/models/forest").json()
    assert metadata["platform"] == "sklearn"
    assert len(metadata["inputs"]) == 30
    assert metadata["outputs"] == [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]
    assert metadata["parameters"]["digest"].startswith("sha256:")
    row = server.client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert len(row["application/json"]["example"]["X"][0]) == 30
    metrics = server.client.get("/metrics").text
    assert f'digest="{metadata["parameters"]["digest"]}"' in metrics
    assert 'model="forest"' in metrics


def test_two_hundred_clients_at_once_get_their_own_answers(
    server: processes.Serving, forest: RandomForestClassifier
) -> None:
    rows = CANCER.data.to_numpy()[:200]
    expected = forest.predict(CANCER.data.iloc[:200]).tolist()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda row: server.predict([row.tolist()])[0], rows))
    assert answers == expected
