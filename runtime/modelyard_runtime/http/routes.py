"""The table of the routes that predict: which path speaks which protocol.

`http.app` mounts it, and `http.shortcuts` looks the paths up in it.
"""

import starlette.routing

from modelyard_runtime import service
from modelyard_runtime.http import inference
from modelyard_runtime.protocols import mlflow, predict, v1, v2

_PATHS: tuple[tuple[str, inference.Prediction], ...] = (
    ("/predict", predict),
    ("/v1/models/{model}:predict", v1),
    ("/v2/models/{model}/infer", v2),
    ("/v2/models/{model}/versions/{version}/infer", v2),
    (mlflow.PATH, mlflow),
)


def prediction_routes(served: service.Service, max_body_bytes: int) -> list[starlette.routing.Route]:
    """Gives the routes."""
    return [
        starlette.routing.Route(
            path, inference.PredictionRoute(served, protocol, max_body_bytes), methods=["POST"]
        )
        for path, protocol in _PATHS
    ]
