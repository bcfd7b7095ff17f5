"""What the runtime counts, in Prometheus form, in a registry of its own.

Made once by `__main__`; `http.guard`, `service` and `loading` write to it, `http.health` renders it.
Labels are closed sets: nothing a caller sends becomes a label value.
"""

import prometheus_client

from modelyard_runtime.formats import model as models

# From half a millisecond, where small models live, to the half minute of a hopeless one.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The runtime's metrics; the names are listed in `docs/reference/http-api.md`."""

    def __init__(self) -> None:
        # One more series per series, with the time of its creation: nothing that anybody asks for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Counter(
            "modelyard_requests", "Answered requests.", ("protocol", "code"), registry=self.registry
        )
        self.request_seconds = prometheus_client.Histogram(
            "modelyard_request_seconds",
            "From the first byte of a request's head to its answer.",
            ("protocol",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = prometheus_client.Gauge(
            "modelyard_requests_in_flight", "Requests being answered.", registry=self.registry
        )
        self.queue = prometheus_client.Gauge(
            "modelyard_queue_length",
            "Predictions waiting for or in the worker thread.",
            registry=self.registry,
        )
        self.predict_seconds = prometheus_client.Histogram(
            "modelyard_predict_seconds",
            "Time in the model itself.",
            ("mode",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rows = prometheus_client.Counter("modelyard_rows", "Rows predicted.", registry=self.registry)
        self.load_seconds = prometheus_client.Gauge(
            "modelyard_model_load_seconds", "From the file to the first prediction.", registry=self.registry
        )
        self.ready = prometheus_client.Gauge(
            "modelyard_model_ready",
            "1 while the model is loaded, warmed and not draining.",
            registry=self.registry,
        )
        self._info = prometheus_client.Gauge(
            "modelyard_model_info",
            "Always 1; what is served is in the labels.",
            ("model", "format", "digest", "versions"),
            registry=self.registry,
        )

    def describe_model(self, name: str, model: models.Model, digest: str) -> None:
        """Publishes what is served."""
        versions = ",".join(f"{library}={version}" for library, version in sorted(model.versions.items()))
        self._info.labels(name, model.format, digest, versions).set(1)

    def render(self) -> bytes:
        """Gives the metrics in the text format."""
        return prometheus_client.generate_latest(self.registry)
