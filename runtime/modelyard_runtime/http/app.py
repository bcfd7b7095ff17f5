"""The application: FastAPI with its routes, the two hot ones beside them, and the guard around everything.

Called by `server`. It wires and decides nothing.
"""

from typing import Any

import fastapi
import fastapi.openapi.utils
import starlette.exceptions
import starlette.requests
import starlette.routing

from modelyard_runtime import metrics, service
from modelyard_runtime.http import asgi, gate, guard, health, inference, metadata, openapi, page
from modelyard_runtime.http import errors as http_errors

EVERYBODY = gate.Rules()


def create_app(
    served: service.Service,
    counters: metrics.Metrics,
    max_body_bytes: int,
    version: str,
    rules: gate.Rules = EVERYBODY,
) -> guard.Guard:
    """Gives the guarded application."""
    # No documentation pages: FastAPI's load their scripts from a content delivery network.
    app = fastapi.FastAPI(title="Modelyard", version=version, docs_url=None, redoc_url=None)
    infer = inference.InferRoute(served)
    # First, since routes are tried in order.
    app.router.routes[:0] = [
        starlette.routing.Route("/predict", inference.PredictRoute(served), methods=["POST"]),
        starlette.routing.Route("/v2/models/{model}/infer", infer, methods=["POST"]),
        starlette.routing.Route("/v2/models/{model}/versions/{version}/infer", infer, methods=["POST"]),
    ]
    app.include_router(health.build_router(served, counters))
    app.include_router(metadata.build_router(served, version))
    app.include_router(page.build_router())
    app.add_exception_handler(starlette.exceptions.HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_unexpected)

    def describe() -> dict[str, Any]:
        document = fastapi.openapi.utils.get_openapi(title=app.title, version=version, routes=app.routes)
        signature = served.served.model.signature if served.is_ready else None
        document["paths"] |= openapi.prediction_paths(served.model_name, signature)
        return document

    app.openapi = describe  # type: ignore[method-assign]
    gated: asgi.Application = app if rules.are_open else gate.Gate(app, rules)
    return guard.Guard(gated, served, counters, max_body_bytes)


async def _answer_unexpected(request: starlette.requests.Request, error: Exception) -> fastapi.Response:
    """Answers what should not happen; the guard logs it."""
    del request, error
    return fastapi.Response(http_errors.body_of("internal error"), 500, media_type="application/json")


async def _answer_http_error(request: starlette.requests.Request, error: Exception) -> fastapi.Response:
    """Answers unknown paths and wrong methods in the error form of everything else."""
    if not isinstance(error, starlette.exceptions.HTTPException):
        raise error
    shown = request.url.path[:200]
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is nothing at {shown}; GET / lists the paths"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        message = f"{request.method} is not possible at {shown}; use {allowed}"
    return fastapi.Response(
        http_errors.body_of(message),
        error.status_code,
        headers=dict(error.headers or {}),
        media_type="application/json",
    )
