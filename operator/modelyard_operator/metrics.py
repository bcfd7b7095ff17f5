"""The operator's numbers for /metrics, under the names that dashboards for Kubernetes controllers already know.

`workqueue`, `cluster`, `recorder` and `__main__` count here, `health` exposes the registry. One instance per process,
passed along and never global, so that tests have their own.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import prometheus_client as prometheus
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_PREFIX = "modelyard_operator"


class Resources(Collector):
    """How many ModelDeployments there are by condition, as their statuses last said; counted at each change only."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Mapping[str, str]] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()

    def count(self, key: tuple[str, str], conditions: Mapping[str, str]) -> None:
        """Take in what a status says: condition type -> status."""
        before = self._last.get(key)
        if before == conditions:
            return
        self.forget(key)
        self._last[key] = conditions
        self._numbers.update(conditions.items())

    def forget(self, key: tuple[str, str]) -> None:
        """Take out one that is gone."""
        self._numbers.subtract(self._last.pop(key, {}).items())

    def collect(self) -> Iterator[Metric]:
        """Give the gauge."""
        family = GaugeMetricFamily(
            f"{_PREFIX}_resources",
            "ModelDeployments by condition; only the leader counts.",
            labels=["condition", "status"],
        )
        for labels, number in sorted(self._numbers.items()):
            family.add_metric(labels, number)
        yield family


class Readings(Collector):
    """Numbers that are asked for when somebody looks: label -> value."""

    def __init__(self, name: str, text: str, label: str) -> None:
        self._name, self._text, self._label = name, text, label
        self.read: Callable[[], Mapping[str, float]] = dict

    def collect(self) -> Iterator[Metric]:
        """Give the gauge."""
        family = GaugeMetricFamily(f"{_PREFIX}_{self._name}", self._text, labels=[self._label])
        for label, value in sorted(self.read().items()):
            family.add_metric([label], value)
        yield family


class Metrics:
    """Counters and gauges of one operator process."""

    def __init__(self, version: str = "") -> None:
        self.registry = prometheus.CollectorRegistry()
        self._add_queue()
        self._add_reconciles()
        self._add_calls()
        self.loop_lag_seconds = self._gauge(
            f"{_PREFIX}_loop_lag_seconds", "How late the event loop last was."
        )
        self.leading = self._gauge(f"{_PREFIX}_leading", "1 while this process may write.")
        self.part_age_seconds = self._readings(
            "part_age_seconds", "Since each part of the process last showed that it works.", "part"
        )
        self.watch_silence_seconds = self._readings(
            "watch_silence_seconds", "Since anything was heard on each watch of children.", "stream"
        )
        self.store_objects = self._readings("store_objects", "Objects in memory.", "resource")
        self.store_bytes = self._readings("store_bytes", "Their bytes, compressed.", "resource")
        build = prometheus.Gauge(
            f"{_PREFIX}_build_info", "1, with the versions.", ["version", "python"], registry=self.registry
        )
        build.labels(version, platform.python_version()).set(1)
        prometheus.ProcessCollector(registry=self.registry)

    def _add_queue(self) -> None:
        self.queue_depth = self._gauge("workqueue_depth", "Keys waiting for a worker.")
        self.queue_oldest_seconds = self._gauge(
            f"{_PREFIX}_queue_oldest_seconds", "Age of the oldest key that waits or is worked on."
        )
        self.queue_adds = self._counter("workqueue_adds_total", "Keys added.")
        self.queue_retries = self._counter("workqueue_retries_total", "Retries after errors.")
        self.queue_seconds = self._histogram("workqueue_queue_duration_seconds", "Wait from due to started.")
        self.reconcile_seconds = self._histogram(
            "workqueue_work_duration_seconds", "Duration of one reconcile."
        )

    def _add_reconciles(self) -> None:
        self.resources = Resources()
        self.registry.register(self.resources)
        self.reconciles = self._counter(
            f"{_PREFIX}_reconcile_total", "Reconciles by result: success, waiting, stalled, error.", "result"
        )
        self.reconcile_errors = self._counter(
            f"{_PREFIX}_reconcile_errors_total", "Reconciles that failed, by what failed.", "reason"
        )
        self.event_errors = self._counter(
            f"{_PREFIX}_event_errors_total", "Kubernetes Events that could not be written."
        )

    def _add_calls(self) -> None:
        self.api_requests = self._counter(
            f"{_PREFIX}_api_requests_total",
            "Calls to the API server; code 0: no answer.",
            "verb",
            "resource",
            "code",
        )
        self.api_seconds = self._histogram(
            f"{_PREFIX}_api_request_duration_seconds",
            "Duration of calls to the API server.",
            "verb",
            "resource",
        )

    def count_request(self, verb: str, resource: str, code: int) -> None:
        """Count one call to the API server; code 0 when it was not answered."""
        self.api_requests.labels(verb, resource, str(code)).inc()

    def _readings(self, name: str, text: str, label: str) -> Readings:
        readings = Readings(name, text, label)
        self.registry.register(readings)
        return readings

    def _counter(self, name: str, text: str, *labels: str) -> prometheus.Counter:
        return prometheus.Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> prometheus.Gauge:
        return prometheus.Gauge(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> prometheus.Histogram:
        return prometheus.Histogram(name, text, labels, buckets=_SECONDS, registry=self.registry)
