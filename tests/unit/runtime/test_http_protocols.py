"""Every protocol's route answers, refuses in its protocol's own form, and is described as it is."""

import gzip
import zlib

import jsonschema
import msgspec
import numpy as np
import pytest

from modelyard_runtime.formats import model as models
from modelyard_runtime.http import guard
from tests.unit.runtime import builders

INFER = "/v2/models/m/infer"


def _app(model: builders.FakeModel | None = None) -> guard.Guard:
    return builders.served(model or builders.FakeModel(builders.numbers(2)))[0]


CLASSIFIER = msgspec.structs.replace(
    builders.PEOPLE,
    outputs=(
        models.TensorSpec("predict", "FP64", (-1,)),
        models.TensorSpec(models.PROBABILITY, "FP64", (-1,)),
    ),
    on_request=frozenset({models.PROBABILITY}),
    classes=("no", "yes"),
)
SIGNATURES = [builders.numbers(1), builders.numbers(2), CLASSIFIER, builders.DOCUMENTS, builders.RECURRENT]
PREDICTING = ("/predict", INFER, "/v1/models/m:predict", "/invocations")


@pytest.mark.parametrize("signature", SIGNATURES)
def test_openapi_describes_what_is_sent_and_answered(signature: models.Signature) -> None:
    width = (2,) if signature.inputs else ()
    application = _app(builders.FakeModel(signature, lambda table: np.zeros((len(table), *width))))
    document = builders.request(application, "GET", "/openapi.json").json()
    for path in PREDICTING:
        operation = document["paths"][path]["post"]
        taken = operation["requestBody"]["content"]["application/json"]
        jsonschema.validate(taken["example"], taken["schema"])
        for query in ("", "?proba=1") if signature is CLASSIFIER else ("",):
            answer = builders.request(application, "POST", path + query, json=taken["example"])
            assert answer.status_code == 200, answer.text
            described = operation["responses"]["200"]["content"]["application/json"]["schema"]
            jsonschema.validate(answer.json(), described)
        refused = builders.request(application, "POST", path, json={"inputs": "?"})
        described = operation["responses"]["400"]["content"]["application/json"]["schema"]
        assert refused.status_code == 400
        jsonschema.validate(refused.json(), described)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({}, taken["schema"])
    assert {"/livez", "/readyz", "/metrics", "/v2", "/v2/models/{model}", "/ping"} <= set(document["paths"])


def test_probabilities_come_on_request_with_their_classes() -> None:
    application = _app(builders.FakeModel(CLASSIFIER, lambda table: np.zeros(len(table))))
    body = b'{"X": [[1, "a"]]}'
    assert builders.post_json(application, "/predict?proba=1", body).json() == {
        "y_pred": [0.0], "y_proba": [0.0], "classes": ["no", "yes"],
    }  # fmt: skip
    assert builders.post_json(application, "/predict?proba=0", body).json() == {"y_pred": [0.0]}
    answer = builders.post_json(application, "/predict?proba=maybe", body)
    assert (answer.status_code, "'maybe'" in answer.text) == (400, True)
    answer = builders.post_json(_app(), "/predict?proba=1", b'{"X": [[1, 2]]}')
    assert (answer.status_code, "no probabilities" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"dataframe_split": {"columns": ["city", "age"], "data": [["a", 1]]}}', "application/json"),
        (b'{"dataframe_records": [{"city": "a", "age": 1}]}', "application/json; format=pandas-records"),
        (b'{"inputs": {"city": ["a"], "age": [1]}}', "application/json"),
        (b'{"instances": [[1, "a"]]}', "application/json"),
        (b"city,age\na,1\n", "text/csv"),
    ],
)
def test_mlflow_is_answered(body: bytes, content_type: str) -> None:
    model = builders.FakeModel(builders.PEOPLE, lambda table: np.zeros(len(table)))
    answer = builders.request(
        _app(model), "POST", "/invocations", content=body, headers={"content-type": content_type}
    )
    assert (answer.status_code, answer.json()) == (200, {"predictions": [0.0]})
    assert model.seen[0].tolist() == [[1.0, "a"]]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{}", "exactly one"),
        (b'{"inputs": [[1]], "instances": [[1]]}', "exactly one"),
        (b'{"dataframe_split": {"columns": ["age"], "data": [[1, "a"]]}}', "1 columns"),
        (b'{"dataframe_split": {"columns": [[]], "data": [[1]]}}', "names"),
        (b'{"dataframe_split": [1]}', "columns"),
        (b'{"dataframe_records": [{"age": 1}]}', "'city'"),
        (b'{"dataframe_records": [{"age": 1}, {"city": 1}]}', "row 1"),
        (b'{"inputs": {"age": [1, 2], "city": ["a"]}}', "'city'"),
        (b"[]", "object"),
    ],
)
def test_mlflow_is_refused_in_its_own_form(body: bytes, word: str) -> None:
    answer = builders.post_json(_app(builders.FakeModel(builders.PEOPLE)), "/invocations", body)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert word in answer.json()["message"]


def test_mlflows_form_is_kept_by_what_stands_around_its_route() -> None:
    application = _app()
    for method, body, code, name in (
        ("GET", b"", 405, "BAD_REQUEST"),
        ("POST", b" " * 10_001, 413, "BAD_REQUEST"),
    ):
        answer = builders.request(application, method, "/invocations", content=body)
        assert (answer.status_code, answer.json()["error_code"]) == (code, name)


def test_kserve_v1_is_answered() -> None:
    application = _app()
    for body in (b'{"instances": [[1, 2], [3, 4]]}', b'{"inputs": [[1, 2], [3, 4]]}'):
        answer = builders.post_json(application, "/v1/models/m:predict", body)
        assert (answer.status_code, answer.json()) == (200, {"predictions": [3.0, 7.0]})
    answer = builders.post_json(application, "/v1/models/m:predict", b'{"instances": [[1, 2], [3]]}')
    assert answer.json() == {
        "error": "row 1 of instances has 1 value, but row 0 has 2; every row needs the same features: 2 features"
    }
    assert builders.request(application, "GET", "/v1/models").json() == {"models": ["m"]}
    assert builders.request(application, "GET", "/v1/models/m").json() == {"name": "m", "ready": True}


def test_other_protocols_readiness() -> None:
    loading, _ = builders.served(None)
    for application, code in ((_app(), 200), (loading, 503)):
        for path in ("/ping", "/health", "/v1/models/m"):
            assert builders.request(application, "GET", path).status_code == code
    assert builders.request(loading, "GET", "/version").text == "9.9.9"
    answer = builders.post_json(loading, "/invocations", b"{}")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_bodies_travel_compressed() -> None:
    application = _app()
    body = b'{"X": [' + b",".join([b"[1, 2]"] * 1000) + b"]}"
    for name, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        answer = builders.request(
            application, "POST", "/predict", content=pack(body),
            headers={"content-encoding": name, "accept-encoding": "gzip"},
        )  # fmt: skip
        assert answer.json() == {"y_pred": [3.0] * 1000}
        assert answer.headers["content-encoding"] == "gzip"
        assert int(answer.headers["content-length"]) < 200
    bomb = gzip.compress(b" " * 100_000)
    answer = builders.request(
        application, "POST", "/predict", content=bomb, headers={"content-encoding": "gzip"}
    )
    assert (answer.status_code, "10000 bytes" in answer.text) == (413, True)
    small = builders.request(
        application, "POST", "/predict", content=b'{"X": [[1, 2]]}', headers={"accept-encoding": "gzip"}
    )
    assert "content-encoding" not in small.headers


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_deadline_that_has_passed_is_a_504(path: str) -> None:
    answer = builders.request(
        _app(),
        "POST",
        path,
        content=b'{"X": [[1, 2]], "inputs": [[1, 2]]}',
        headers={"request-timeout": "1e-9"},
    )
    assert answer.status_code == 504


def test_openapi_names_the_features() -> None:
    document = builders.request(_app(builders.FakeModel(builders.PEOPLE)), "GET", "/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    row = body["properties"]["X"]["items"]["anyOf"][0]
    assert [(item["title"], item["type"]) for item in row["prefixItems"]] == [
        ("age", ["number", "null"]),
        ("city", ["string", "null"]),
    ]
