"""What the runtime counts, in Prometheus form, in a registry of its own.

Made once by `__main__`; `http.guard`, `service` and `loading` write to it, `http.health` renders it.
Labels are closed sets: nothing a caller sends becomes a label value.
"""

from collections.abc import Callable, Iterable

import prometheus_client
from prometheus_client import core, registry

from modelyard_runtime import drift
from modelyard_runtime.formats import model as models

# From half a millisecond, where small models live, to the half minute of a hopeless one.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class _Inputs(registry.Collector):
    """The figures of the model's features, as gauges: they are of a sample, so none of them counts everything."""

    def __init__(self, figures: Callable[[], Iterable[drift.Figures]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[prometheus_client.Metric]:
        """Gives one metric for each figure, one series for each feature."""
        meanings = {
            "rows": "Rows looked at, a sample of all.",
            "missing": "Missing values among them.",
            "out_of_range": "Values outside what the training data held, where the artifact says so.",
            "mean": "Mean of the values that are numbers.",
            "variance": "Variance of the values that are numbers.",
        }
        families = {
            name: core.GaugeMetricFamily(f"modelyard_feature_{name}", meaning, labels=["feature"])
            for name, meaning in meanings.items()
        }
        for figures in self._figures():
            for name, family in families.items():
                family.add_metric([figures.feature], getattr(figures, name))
        return families.values()


class Metrics:
    """The runtime's metrics; the names are listed in `docs/reference/http-api.md`."""

    def __init__(self) -> None:
        # One more series per series, with the time of its creation: nothing that anybody asks for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = prometheus_client.CollectorRegistry()
        self.requests = self._counter("requests", "Answered requests.", "protocol", "code")
        self.request_seconds = self._histogram(
            "request_seconds", "From a request's head to its answer.", "protocol"
        )
        self.in_flight = self._gauge("requests_in_flight", "Requests being answered.")
        self.queue = self._gauge("queue_length", "Predictions waiting for or in the worker thread.")
        self.predict_seconds = self._histogram("predict_seconds", "Time in the model itself.", "mode")
        self.rows = self._counter("rows", "Rows predicted.")
        self.load_seconds = self._gauge("model_load_seconds", "From the file to the first prediction.")
        self.ready = self._gauge("model_ready", "1 while the model is loaded, warmed and not draining.")
        self._info = self._gauge(
            "model_info", "Always 1; the labels say what is served.", "model", "format", "digest", "versions"
        )

    def watch(self, figures: Callable[[], Iterable[drift.Figures]]) -> None:
        """Publishes what callers send, read from `figures` at each scrape."""
        self.registry.register(_Inputs(figures))

    def _counter(self, name: str, meaning: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(f"modelyard_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(f"modelyard_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, *labels: str) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            f"modelyard_{name}", meaning, labels, buckets=_SECONDS, registry=self.registry
        )

    def describe_model(self, name: str, model: models.Model, digest: str) -> None:
        """Publishes what is served."""
        versions = ",".join(f"{library}={version}" for library, version in sorted(model.versions.items()))
        self._info.labels(name, model.format, digest, versions).set(1)

    def render(self) -> bytes:
        """Gives the metrics in the text format."""
        return prometheus_client.generate_latest(self.registry)
