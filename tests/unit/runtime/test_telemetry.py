"""What is told about a request: every so many get a line, all get a span, and the caller's trace goes on in both."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from modelyard_runtime import spans
from modelyard_runtime.http import telemetry
from tests.unit.runtime import builders

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-{PARENT}-01", telemetry.Trace(TRACE, PARENT, is_sampled=True)),
        (f"00-{TRACE}-{PARENT}-00", telemetry.Trace(TRACE, PARENT, is_sampled=False)),
        (f"cc-{TRACE}-{PARENT}-01", telemetry.Trace(TRACE, PARENT, is_sampled=True)),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-01 ", None),
        ("", None),
    ],
)
def test_a_trace_is_read_as_the_recommendation_says(header: str, trace: telemetry.Trace | None) -> None:
    assert telemetry.parse_traceparent(header.encode()) == trace


def _scope(path: str = "/predict", **headers: str) -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"method": "POST", "path": path, "headers": raw, "modelyard.protocol": "predict"}


def _lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["fields"] for record in caplog.records if record.message == "request"]


def test_one_in_so_many_gets_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = telemetry.Telemetry(0.25)
    for _ in range(20):
        told.finish(_scope(traceparent=f"00-{TRACE}-{PARENT}-01"), 200, 0.0125)
    assert len(_lines(caplog)) == 5
    assert _lines(caplog)[0] == {
        "method": "POST",
        "path": "/predict",
        "protocol": "predict",
        "code": 200,
        "ms": 12.5,
        "trace_id": TRACE,
    }


def test_server_errors_always_get_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = telemetry.Telemetry(0.01)
    for code in (200, 500, 404, 503):
        told.finish(_scope(), code, 0.001)
    assert [line["code"] for line in _lines(caplog)] == [500, 503]


@pytest.fixture
def collected() -> Iterator[tuple[spans.Exporter, InMemorySpanExporter]]:
    """An exporter of spans, and where they arrive once it is closed."""
    memory = InMemorySpanExporter()
    exporter = spans.Exporter("iris", "9.9.9", memory)
    yield exporter, memory
    exporter.close()


def test_a_request_is_a_span_of_the_callers_trace(
    collected: tuple[spans.Exporter, InMemorySpanExporter], caplog: pytest.LogCaptureFixture
) -> None:
    exporter, memory = collected
    told = telemetry.Telemetry(0.0, exporter)
    told.finish(_scope(traceparent=f"00-{TRACE}-{PARENT}-01"), 200, 0.25)
    told.finish(_scope(traceparent=f"00-{TRACE}-{PARENT}-00"), 200, 0.25)  # the caller doesn't sample it
    told.finish(_scope(), 503, 0.25)
    exporter.flush()
    first, second = memory.get_finished_spans()
    assert first.parent is not None
    assert (f"{first.parent.trace_id:032x}", f"{first.parent.span_id:016x}") == (TRACE, PARENT)
    assert (first.name, first.kind) == ("POST predict", SpanKind.SERVER)
    assert (first.end_time or 0) - (first.start_time or 0) == pytest.approx(0.25e9, rel=1e-6)
    assert first.resource.attributes["service.name"] == "iris"
    assert second.parent is None
    assert second.status.status_code is StatusCode.ERROR
    assert (second.attributes or {})["http.response.status_code"] == 503
    assert _lines(caplog) == []


def test_the_guard_tells_of_predictions_and_not_of_probes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    guarded, _ = builders.served(builders.FakeModel(builders.numbers(1)))
    guarded.telemetry = telemetry.Telemetry(1.0)
    builders.request(guarded, "GET", "/readyz")
    builders.post_json(guarded, "/predict?secret=1", b'{"X": [[1]]}')
    assert [(line["path"], line["code"]) for line in _lines(caplog)] == [("/predict", 200)]
