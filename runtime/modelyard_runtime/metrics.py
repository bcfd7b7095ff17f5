"""What the runtime counts, in Prometheus form, in a registry of its own.

Made once by `server`; `http.guard`, `dispatching` and `service` write to it, `http.answers` renders it.
Labels are closed sets: nothing a caller sends becomes a label value. What is counted for each request is a number on
the `board`, which all workers of a pod share, and becomes Prometheus' form when somebody asks: counting costs a
fraction of a microsecond, and the answer is true for the whole pod, whichever worker gives it.
"""

import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import prometheus_client
from prometheus_client import core, registry

from modelyard_runtime import board as boards
from modelyard_runtime import drift
from modelyard_runtime.formats import model as models

Mode = Literal["inline", "worker"]
_MODES: tuple[Mode, ...] = ("inline", "worker")
PROTOCOLS = ("predict", "v1", "v2", "mlflow", "other")
_CODES = (
    200, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 411, 413, 414, 415, 422, 429, 431, 499, 500, 501, 503, 504,
    505,
)  # fmt: skip
_OTHER_CODE = 0  # written as "other"
# From half a millisecond, where small models live, to the half minute of a hopeless one.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REQUESTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


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
                if (value := getattr(figures, name)) is not None:
                    family.add_metric([figures.feature], value)
        return families.values()


class _Histogram:
    """Observations of one label value, on the board."""

    def __init__(self, board: boards.Board, bounds: Sequence[float]) -> None:
        self._board = board
        self._bounds = bounds
        self._first = board.allot(len(bounds) + 2)
        self._sum = self._first + len(bounds) + 1

    def observe(self, value: float) -> None:
        """Counts one observation."""
        mine = self._board.mine
        mine[self._first + bisect.bisect_left(self._bounds, value)] += 1.0
        mine[self._sum] += value

    @property
    def sum(self) -> float:
        """The sum of all observations, of all workers."""
        return self._board.total(self._sum)

    def buckets(self) -> list[tuple[str, float]]:
        """Gives upper bounds, as text, with how many observations were no larger."""
        found, counted = [], 0.0
        for index, bound in enumerate((*self._bounds, float("inf"))):
            counted += self._board.total(self._first + index)
            found.append((_bound(bound), counted))
        return found


def _bound(bound: float) -> str:
    """Gives a bucket's upper bound as Prometheus writes it."""
    return "+Inf" if bound == float("inf") else repr(bound)


class Metrics(registry.Collector):
    """The runtime's metrics; the names are listed in `docs/reference/http-api.md`."""

    def __init__(self, board: boards.Board | None = None) -> None:
        # One more series per series, with the time of its creation: nothing that anybody asks for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.board = board or boards.Board()
        self.registry = prometheus_client.CollectorRegistry()
        self._requests = {
            (protocol, code): self.board.allot() for protocol in PROTOCOLS for code in (*_CODES, _OTHER_CODE)
        }
        self._request_seconds = {protocol: _Histogram(self.board, _SECONDS) for protocol in PROTOCOLS}
        self._predict_seconds = {mode: _Histogram(self.board, _SECONDS) for mode in _MODES}
        self._call_requests = {mode: _Histogram(self.board, _REQUESTS) for mode in _MODES}
        self._rows = self.board.allot()
        self._in_flight = self.board.allot()
        self._queue = self.board.allot()
        self._ready = self.board.allot()
        self.registry.register(self)
        self._load_seconds = self._gauge("model_load_seconds", "From the file to the first prediction.")
        self._info = self._gauge(
            "model_info",
            "Always 1; the labels say what is served.",
            "model",
            "format",
            "engine",
            "digest",
            "versions",
        )

    def count_request(self, protocol: str, code: int, seconds: float) -> None:
        """Counts an answered request."""
        cell = self._requests.get((protocol, code))
        if cell is None:
            protocol = protocol if protocol in PROTOCOLS else "other"
            cell = self._requests[protocol, code if code in _CODES else _OTHER_CODE]
        self.board.mine[cell] += 1.0
        self._request_seconds[protocol].observe(seconds)

    def count_call(self, mode: Mode, requests: int, rows: int, seconds: float) -> None:
        """Counts a call of the model that `requests` shared."""
        self._predict_seconds[mode].observe(seconds)
        self._call_requests[mode].observe(requests)
        self.board.mine[self._rows] += rows

    def set_in_flight(self, requests: int) -> None:
        """Says how many requests this process is answering."""
        self.board.mine[self._in_flight] = requests

    def set_queue(self, requests: int) -> None:
        """Says how many requests wait in this process for the model."""
        self.board.mine[self._queue] = requests

    def set_ready(self, is_ready: bool) -> None:
        """Says whether this process wants traffic."""
        self.board.mine[self._ready] = float(is_ready)

    @property
    def all_ready(self) -> bool:
        """Says whether every worker of the pod wants traffic."""
        return self.board.all_have(self._ready, bool)

    def describe_model(self, name: str, model: models.Model, digest: str, load_seconds: float) -> None:
        """Publishes what is served."""
        versions = ",".join(f"{library}={version}" for library, version in sorted(model.versions.items()))
        self._info.labels(name, model.format, model.engine, digest, versions).set(1)
        self._load_seconds.set(load_seconds)

    def watch(self, figures: Callable[[], Iterable[drift.Figures]]) -> None:
        """Publishes what callers send, read from `figures` at each scrape."""
        self.registry.register(_Inputs(figures))

    def collect(self) -> Iterable[prometheus_client.Metric]:
        """Gives the numbers of the board, all workers' together; series that never counted are left out."""
        requests = core.CounterMetricFamily(
            "modelyard_requests", "Answered requests.", labels=["protocol", "code"]
        )
        for (protocol, code), cell in self._requests.items():
            if count := self.board.total(cell):
                requests.add_metric([protocol, str(code or "other")], count)
        yield requests
        yield _family(
            "request_seconds", "From a request's head to its answer.", "protocol", self._request_seconds
        )
        yield _family("predict_seconds", "Time in a call of the model itself.", "mode", self._predict_seconds)
        yield _family(
            "call_requests", "Requests that shared a call of the model.", "mode", self._call_requests
        )
        yield core.CounterMetricFamily("modelyard_rows", "Rows predicted.", self.board.total(self._rows))
        for name, meaning, cell in (
            ("requests_in_flight", "Requests being answered.", self._in_flight),
            ("queue_length", "Requests that wait for the model.", self._queue),
        ):
            yield core.GaugeMetricFamily(f"modelyard_{name}", meaning, self.board.total(cell))
        yield core.GaugeMetricFamily(
            "modelyard_model_ready",
            "1 while every worker has the model loaded and warmed, and none is draining.",
            float(self.all_ready),
        )
        yield core.GaugeMetricFamily("modelyard_workers", "Processes that serve.", self.board.workers)

    def _gauge(self, name: str, meaning: str, *labels: str) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(f"modelyard_{name}", meaning, labels, registry=self.registry)

    def render(self) -> bytes:
        """Gives the metrics in the text format."""
        return prometheus_client.generate_latest(self.registry)


def _family(
    name: str, meaning: str, label: str, histograms: "dict[str, _Histogram] | dict[Mode, _Histogram]"
) -> core.HistogramMetricFamily:
    family = core.HistogramMetricFamily(f"modelyard_{name}", meaning, labels=[label])
    for value, histogram in histograms.items():
        buckets = histogram.buckets()
        if buckets[-1][1]:
            family.add_metric([value], buckets, histogram.sum)
    return family
