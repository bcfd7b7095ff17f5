"""The application answers what is asked of it, each error with its code, all in one form."""

import asyncio
import gzip
import threading
import zlib
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest

from modelyard_runtime import errors, scheduling
from modelyard_runtime.formats import model as models
from modelyard_runtime.http import asgi, guard
from modelyard_runtime.lifecycle import Stage
from tests.unit.runtime import builders

INFER = "/v2/models/m/infer"
ONE_TENSOR = b'{"inputs": [{"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}'


def _app(model: builders.FakeModel | None = None, **changes: Any) -> guard.Guard:
    return builders.served(model or builders.FakeModel(builders.numbers(2)), **changes)[0]


def test_both_protocols_answer() -> None:
    application = _app()
    answer = builders.post_json(application, "/predict", b'{"X": [[1, 2], [3, 4]]}')
    assert (answer.status_code, answer.json()) == (200, {"y_pred": [3.0, 7.0]})
    assert answer.headers["content-type"] == "application/json"
    answer = builders.post_json(application, INFER, ONE_TENSOR)
    assert answer.status_code == 200
    assert answer.json()["outputs"] == [{"name": "predict", "shape": [1], "datatype": "FP64", "data": [3.0]}]
    assert builders.post_json(application, "/v2/models/m/versions/1/infer", ONE_TENSOR).status_code == 200


@pytest.mark.parametrize("content_type", [None, "application/json", "Application/JSON; charset=utf-8"])
def test_json_or_no_content_type_is_taken(content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = builders.request(_app(), "POST", "/predict", content=b'{"X": [[1, 2]]}', headers=headers)
    assert answer.status_code == 200


REFUSED: dict[str, tuple[str, str, bytes, dict[str, str], int, str]] = {
    "another content type": ("POST", "/predict", b"1", {"content-type": "text/plain"}, 415, "application/json"),
    "a form": ("POST", INFER, b"a=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "application/json"),
    "an encoding nobody knows": (
        "POST", "/predict", b"{}", {"content-type": "application/json", "content-encoding": "br"}, 415, "zstd",
    ),
    "a body that is not compressed as it says": (
        "POST", "/predict", b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, 400, "gzip",
    ),
    "a form that no answer has": ("POST", "/predict", b'{"X": [[1, 2]]}', {"accept": "image/png"}, 406, "csv"),
    "a deadline that is none": ("POST", "/predict", b'{"X": [[1, 2]]}', {"request-timeout": "soon"}, 400, "seconds"),
    "an unknown model, version 1": ("POST", "/v1/models/rose:predict", b"{}", {}, 404, "'rose'"),
    "readiness of an unknown model, version 1": ("GET", "/v1/models/rose", b"", {}, 404, "'rose'"),
    "bad input": ("POST", "/predict", b'{"X": [[1]]}', {}, 400, "2 features"),
    "bad input, version 2": ("POST", INFER, b"{}", {}, 400, "inputs"),
    "an unknown model": ("POST", "/v2/models/rose/infer", ONE_TENSOR, {}, 404, "'rose'"),
    "an unknown version": ("POST", "/v2/models/m/versions/2/infer", ONE_TENSOR, {}, 404, "'2'"),
    "metadata of an unknown model": ("GET", "/v2/models/rose", b"", {}, 404, "'m'"),
    "readiness of an unknown model": ("GET", "/v2/models/rose/ready", b"", {}, 404, "'rose'"),
    "metadata of an unknown version": ("GET", "/v2/models/m/versions/2", b"", {}, 404, "'2'"),
    "an unknown path": ("GET", "/nothing/here", b"", {}, 404, "/nothing/here"),
    "a path with a slash too many": ("POST", "/predict/x", b"", {}, 404, "/predict/x"),
    "a wrong method": ("GET", "/predict", b"", {}, 405, "POST"),
    "a wrong method, version 2": ("DELETE", INFER, b"", {}, 405, "POST"),
    "a wrong method for health": ("POST", "/livez", b"", {}, 405, "GET"),
    "a documentation page": ("GET", "/docs", b"", {}, 404, "/docs"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_has_its_code_and_one_form(case: str) -> None:
    method, path, body, headers, code, word = REFUSED[case]
    answer = builders.request(_app(), method, path, content=body, headers=headers)
    assert answer.status_code == code
    assert list(answer.json()) == ["error"]
    assert word in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("path", "body"), [("/predict", b'{"X": [[1, 2]]}'), (INFER, ONE_TENSOR)])
def test_the_models_own_failure_is_a_500_with_a_reason(path: str, body: bytes) -> None:
    def fail(table: models.Table) -> Any:
        raise errors.ModelFailed("the model failed to predict: ZeroDivisionError: x")

    answer = builders.post_json(_app(builders.FakeModel(builders.numbers(2), fail)), path, body)
    assert (answer.status_code, answer.json()) == (
        500, {"error": "the model failed to predict: ZeroDivisionError: x"},
    )  # fmt: skip


def test_an_error_of_our_own_is_a_500_without_detail() -> None:
    def fail(table: models.Table) -> Any:
        raise KeyError("canary")

    answer = builders.post_json(
        _app(builders.FakeModel(builders.numbers(2), fail)), "/predict", b'{"X": [[1, 2]]}'
    )
    assert (answer.status_code, answer.json()) == (500, {"error": "internal error"})


def test_while_loading_health_answers_and_predictions_wait_elsewhere() -> None:
    application, _ = builders.served(None)
    codes = {
        path: builders.request(application, "GET", path).status_code
        for path in (
            "/livez",
            "/v2/health/live",
            "/readyz",
            "/v2/health/ready",
            "/v2/models/m",
            "/v2/models/m/ready",
            "/",
        )
    }
    assert codes == {
        "/livez": 200, "/v2/health/live": 200, "/readyz": 503, "/v2/health/ready": 503,
        "/v2/models/m": 503, "/v2/models/m/ready": 503, "/": 200,
    }  # fmt: skip
    assert builders.request(application, "GET", "/readyz").json() == {"ready": False, "stage": "Loading"}
    for path, body in (("/predict", b'{"X": [[1, 2]]}'), (INFER, ONE_TENSOR)):
        answer = builders.post_json(application, path, body)
        assert (answer.status_code, answer.json()) == (503, {"error": "the model is not ready: Loading"})


def test_while_draining_requests_are_answered_and_connections_closed() -> None:
    application, inference = builders.served(builders.FakeModel(builders.numbers(2)))
    assert "connection" not in builders.post_json(application, "/predict", b'{"X": [[1, 2]]}').headers
    inference.enter(Stage.DRAINING)
    answer = builders.post_json(application, "/predict", b'{"X": [[1, 2]]}')
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert builders.request(application, "GET", "/readyz").status_code == 503
    assert builders.request(application, "GET", "/livez").status_code == 200


def test_metadata_tell_what_is_served() -> None:
    assert builders.request(_app(), "GET", "/v2/models/m").json() == {
        "name": "m",
        "versions": ["1"],
        "platform": "sklearn",
        "inputs": [{"name": "X", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
        "parameters": {
            "digest": "sha256:" + "a" * 64,
            "uri": "s3://models/m/model.joblib",
            "format": "sklearn",
            "versions": {"scikit-learn": "1.9.1"},
            "warnings": [],
            "acceleration": {"engine": "scikit-learn", "reason": "", "checked_rows": 0},
        },
    }
    assert builders.request(_app(), "GET", "/v2").json() == {
        "name": "modelyard", "version": "9.9.9", "extensions": ["binary_tensor_data"],
    }  # fmt: skip
    assert builders.request(_app(), "GET", "/v2/models/m/ready").json() == {"name": "m", "ready": True}


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


def test_metrics_count_by_protocol_and_code() -> None:
    application = _app()
    builders.post_json(application, "/predict", b'{"X": [[1, 2]]}')
    builders.post_json(application, "/predict", b"{")
    builders.post_json(application, INFER, ONE_TENSOR)
    lines = builders.request(application, "GET", "/metrics").text.splitlines()
    for expected in (
        'modelyard_requests_total{code="200",protocol="predict"} 1.0',
        'modelyard_requests_total{code="400",protocol="predict"} 1.0',
        'modelyard_requests_total{code="200",protocol="v2"} 1.0',
        'modelyard_request_seconds_count{protocol="predict"} 2.0',
        'modelyard_predict_seconds_count{mode="inline"} 2.0',
        'modelyard_call_requests_bucket{le="1.0",mode="inline"} 2.0',
        "modelyard_rows_total 2.0",
        "modelyard_model_ready 1.0",
        "modelyard_model_load_seconds 0.5",
        "modelyard_requests_in_flight 0.0",
    ):
        assert expected in lines
    info = next(line for line in lines if line.startswith("modelyard_model_info{"))
    assert 'digest="sha256:aaaa' in info
    assert 'engine="scikit-learn"' in info
    assert 'versions="scikit-learn=1.9.1"' in info


def test_a_slow_model_leaves_the_loop_to_others() -> None:
    gate = threading.Event()

    def wait(table: models.Table) -> Any:
        gate.wait(10)
        return table.sum(axis=1)

    application = _app(builders.FakeModel(builders.numbers(2), wait), cost=scheduling.UNKNOWN)

    async def scenario() -> None:
        import httpx  # noqa: PLC0415

        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            slow = asyncio.ensure_future(client.post("/predict", json={"X": [[1, 2]]}))
            assert (await client.get("/livez")).status_code == 200
            assert not slow.done()
            gate.set()
            assert (await slow).json() == {"y_pred": [3.0]}

    asyncio.run(scenario())


class Client:
    """A client in slow motion: gives the messages it was made with, then waits for ever."""

    def __init__(self, *bodies: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.unread = list(bodies)
        self.sent: list[asgi.Message] = []
        self.scope: asgi.Scope = {
            "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b"",
            "root_path": "", "scheme": "http", "headers": headers or [], "server": ("t", 80), "client": ("c", 1),
        }  # fmt: skip

    async def receive(self) -> asgi.Message:
        if not self.unread:
            await asyncio.Event().wait()
        body = self.unread.pop(0)
        return {"type": "http.request", "body": body, "more_body": True}

    async def send(self, message: asgi.Message) -> None:
        self.sent.append(message)

    def talk_to(self, application: guard.Guard) -> tuple[int, dict[bytes, bytes], bytes]:
        asyncio.run(application(self.scope, self.receive, self.send))
        return self.sent[0]["status"], dict(self.sent[0]["headers"]), self.sent[1]["body"]


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    client = Client(b"x", headers=[(b"content-length", b"10001")])
    status, headers, body = client.talk_to(_app())
    assert (status, headers[b"connection"]) == (413, b"close")
    assert b"10000 bytes" in body
    assert client.unread == [b"x"]


def test_a_body_that_does_not_say_is_read_to_the_limit_and_no_further() -> None:
    client = Client(*[b"x" * 6000] * 100)
    status, headers, _ = client.talk_to(_app())
    assert (status, headers[b"connection"]) == (413, b"close")
    assert len(client.unread) == 98


def test_a_body_that_does_not_come_is_given_up() -> None:
    application = _app()
    impatient = guard.Guard(
        application._app, application._service, application._metrics, 100, body_seconds=0.05
    )
    status, headers, body = Client(b'{"X"').talk_to(impatient)
    assert (status, headers[b"connection"]) == (408, b"close")
    assert b"0.05 seconds" in body


def test_a_client_that_went_away_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    application = _app()
    client = Client(b"{")

    async def gone() -> asgi.Message:
        return {"type": "http.disconnect"}

    asyncio.run(application(client.scope, gone, client.send))
    assert client.sent == []
    assert caplog.records == []
    assert application.in_flight == 0


def test_what_is_in_flight_is_counted() -> None:
    application = _app()
    seen: list[int] = []

    def look(table: models.Table) -> Any:
        seen.append(application.in_flight)
        return table.sum(axis=1)

    model = builders.FakeModel(builders.numbers(2), look)
    application, _ = builders.served(model)
    builders.post_json(application, "/predict", b'{"X": [[1, 2]]}')
    builders.request(application, "GET", "/livez")
    assert seen == [1]
    assert application.in_flight == 0
