"""The operator's numbers for /metrics, under the names that dashboards for Kubernetes controllers already know.

`workqueue`, `cluster` and `__main__` count here, `health` exposes the registry. One instance per process, passed
along and never global, so that tests have their own.
"""

import prometheus_client as prometheus

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters and gauges of one operator process."""

    def __init__(self) -> None:
        self.registry = registry = prometheus.CollectorRegistry()
        self.queue_depth = prometheus.Gauge(
            "workqueue_depth", "Keys waiting for a worker.", registry=registry
        )
        self.queue_adds = prometheus.Counter("workqueue_adds_total", "Keys added.", registry=registry)
        self.queue_retries = prometheus.Counter(
            "workqueue_retries_total", "Retries after errors.", registry=registry
        )
        self.queue_seconds = prometheus.Histogram(
            "workqueue_queue_duration_seconds",
            "Wait from due to started.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.reconcile_seconds = prometheus.Histogram(
            "workqueue_work_duration_seconds",
            "Duration of one reconcile.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.reconciles = prometheus.Counter(
            "modelyard_operator_reconcile_total",
            "Reconciles by result: success, waiting, stalled, error.",
            ["result"],
            registry=registry,
        )
        self.api_requests = prometheus.Counter(
            "modelyard_operator_api_requests_total",
            "Calls to the API server; code 0: no answer.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self.loop_lag_seconds = prometheus.Gauge(
            "modelyard_operator_loop_lag_seconds", "How late the event loop last was.", registry=registry
        )
        prometheus.ProcessCollector(registry=registry)
