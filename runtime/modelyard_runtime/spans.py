"""Requests as OpenTelemetry spans, sent to a collector.

`server` makes the exporter when OTEL_EXPORTER_OTLP_ENDPOINT is set; OpenTelemetry reads that and its other variables
itself. Spans are made after the answer, from its times, and sent by a thread of their own in batches: a collector that
is slow or away costs spans, never requests.
"""

import logging

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk import resources
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export, sampling

from modelyard_runtime.http import telemetry

_SERVER_ERROR = 500


class Exporter:
    """Sends one span for each request; call it with every `telemetry.Finished`, and `close` at the end."""

    def __init__(self, model_name: str, version: str, sender: export.SpanExporter | None = None) -> None:
        # The exporter tells of every batch that a collector didn't take; once in its own words is enough for a log.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        described = {
            "service.name": model_name,
            "service.version": version,
            "telemetry.distro.name": "modelyard",
        }
        self._provider = sdk.TracerProvider(
            resource=resources.Resource.create(described), sampler=sampling.ParentBased(sampling.ALWAYS_ON)
        )
        sender = sender or trace_exporter.OTLPSpanExporter()
        self._provider.add_span_processor(export.BatchSpanProcessor(sender))
        self._tracer = self._provider.get_tracer("modelyard_runtime", version)

    def __call__(self, finished: telemetry.Finished) -> None:
        """Makes the span of an answered request."""
        span = self._tracer.start_span(
            f"{finished.method} {finished.protocol}",
            context=_parent(finished.trace),
            kind=trace.SpanKind.SERVER,
            start_time=finished.started_ns,
            # Names of OpenTelemetry's semantic conventions for HTTP spans.
            attributes={
                "http.request.method": finished.method,
                "url.path": finished.path,
                "http.response.status_code": finished.status,
            },
        )
        if finished.status >= _SERVER_ERROR:
            span.set_status(trace.StatusCode.ERROR)
        span.end(finished.ended_ns)

    def flush(self) -> None:
        """Sends what is waiting."""
        self._provider.force_flush()

    def close(self) -> None:
        """Sends what is waiting, and stops."""
        self._provider.shutdown()


def _parent(caller: telemetry.Trace | None) -> contexts.Context | None:
    if caller is None:
        return None
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if caller.is_sampled else trace.TraceFlags.DEFAULT)
    context = trace.SpanContext(
        int(caller.trace_id, 16), int(caller.span_id, 16), is_remote=True, trace_flags=flags
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context))
