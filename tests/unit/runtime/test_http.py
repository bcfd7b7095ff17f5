"""The application answers what is asked of it, each error with its code, all in one form."""

import asyncio
import threading
from typing import Any

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


def test_an_answer_names_the_artifact_that_has_answered() -> None:
    application = _app()
    for path, body in (("/predict", b'{"X": [[1, 2]]}'), (INFER, ONE_TENSOR)):
        for _ in range(2):
            headers = builders.post_json(application, path, body).headers
            assert headers.get_list("Modelyard-Model-Digest") == ["sha256:" + "a" * 64]
    assert "Modelyard-Model-Digest" not in builders.post_json(application, "/predict", b"{}").headers


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
