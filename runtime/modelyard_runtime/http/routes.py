"""The table of the routes that are answered without the web framework: those that predict, and what machines ask.

`http.app` makes it, `http.shortcuts` looks paths up in it, and `http.framework` mounts the routes that predict.
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple

from modelyard_runtime import service
from modelyard_runtime.http import answers, asgi, inference
from modelyard_runtime.protocols import mlflow, predict, v1, v2

_PATHS: tuple[tuple[str, inference.Prediction], ...] = (
    ("/predict", predict),
    ("/v1/models/{model}:predict", v1),
    ("/v2/models/{model}/infer", v2),
    ("/v2/models/{model}/versions/{version}/infer", v2),
    (mlflow.PATH, mlflow),
)


class Route(NamedTuple):
    """What answers a method at a path, which may have the parameters `{model}` and `{version}`."""

    method: str
    path: str
    application: asgi.Application


def prediction_routes(served: service.Service, max_body_bytes: int) -> list[Route]:
    """Gives the routes that predict."""
    return [
        Route("POST", path, inference.PredictionRoute(served, protocol, max_body_bytes))
        for path, protocol in _PATHS
    ]


def answer_routes(known: Mapping[str, answers.Answer]) -> list[Route]:
    """Gives the routes of what is answered from memory."""
    return [Route("GET", path, functools.partial(_reply, answer)) for path, answer in known.items()]


async def _reply(answer: answers.Answer, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
    """Sends what is answered from memory."""
    del scope, receive
    status, content_type, body = answer()
    await asgi.send_bytes(send, status, body, content_type)
