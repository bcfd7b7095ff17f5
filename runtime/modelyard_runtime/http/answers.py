"""What machines ask again and again, answered from memory: liveness, readiness, metrics and the model's metadata.

`http.routes` sends it without the web framework, which a pod that nobody asks anything else never has to import;
`http.health`, `http.metadata` and `http.mlflow_scoring` send the same where the framework has been asked. None of it
takes a slot of the queue or waits for the model.
"""

from collections.abc import Callable, Mapping

import orjson
import prometheus_client

from modelyard_runtime import errors, metrics, service
from modelyard_runtime.http import descriptions
from modelyard_runtime.http import errors as http_errors

# Gives the status, the content type and the body.
Answer = Callable[[], tuple[int, bytes, bytes]]
JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
MODEL = "/v2/models/{model}"
MODEL_READY = "/v2/models/{model}/ready"


def known(served: service.Service, counters: metrics.Metrics) -> Mapping[str, Answer]:
    """Gives the answers by path; `{model}` in a path is this process's own model."""

    def live() -> tuple[int, bytes, bytes]:
        return 200, JSON, b'{"live":true}'

    def alive() -> tuple[int, bytes, bytes]:
        return 200, JSON, b'{"status":"alive"}'

    def ready() -> tuple[int, bytes, bytes]:
        return _readiness(served.is_pod_ready, {"stage": served.stage.value})

    def v2_ready() -> tuple[int, bytes, bytes]:
        return _readiness(served.is_pod_ready, {})

    def ping() -> tuple[int, bytes, bytes]:
        # Clients go by the code; MLflow's own server says as little, and calls it JSON.
        return 200 if served.is_ready else 503, TEXT, b"\n"

    def scrape() -> tuple[int, bytes, bytes]:
        return 200, prometheus_client.CONTENT_TYPE_LATEST.encode(), counters.render()

    def model_ready() -> tuple[int, bytes, bytes]:
        body = {"name": served.model_name, "ready": served.is_ready}
        return 200 if served.is_ready else 503, JSON, orjson.dumps(body)

    def model() -> tuple[int, bytes, bytes]:
        try:
            return 200, JSON, orjson.dumps(descriptions.describe_model(served))
        except errors.NotReady as error:
            return 503, JSON, http_errors.body_of(error.message)

    return {
        "/livez": alive,
        "/readyz": ready,
        "/metrics": scrape,
        "/v2/health/live": live,
        "/v2/health/ready": v2_ready,
        "/ping": ping,
        "/health": ping,
        MODEL: model,
        MODEL_READY: model_ready,
    }


def _readiness(is_ready: bool, more: dict[str, str]) -> tuple[int, bytes, bytes]:
    return 200 if is_ready else 503, JSON, orjson.dumps({"ready": is_ready, **more})
