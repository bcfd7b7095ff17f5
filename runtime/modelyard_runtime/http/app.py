"""The application: FastAPI with its routes, those that predict beside them, and the guard around everything.

Called by `server`. It wires and decides nothing.
"""

from typing import Any

import fastapi
import fastapi.openapi.utils
import starlette.exceptions
import starlette.requests

from modelyard_runtime import metrics, service
from modelyard_runtime.http import (
    asgi,
    express,
    gate,
    guard,
    health,
    kserve_v1,
    metadata,
    mlflow_scoring,
    openapi,
    page,
    routes,
    shortcuts,
)
from modelyard_runtime.http import errors as http_errors
from modelyard_runtime.protocols import v2

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
    app = fastapi.FastAPI(
        title="Modelyard", version=version, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    hot = routes.prediction_routes(served, max_body_bytes)
    # First, since routes are tried in order.
    app.router.routes[:0] = hot
    app.include_router(health.build_router(served, counters))
    app.include_router(metadata.build_router(served, version))
    app.include_router(kserve_v1.build_router(served))
    app.include_router(mlflow_scoring.build_router(served, version))
    app.include_router(page.build_router())
    app.add_exception_handler(starlette.exceptions.HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_unexpected)

    def describe() -> dict[str, Any]:
        document = fastapi.openapi.utils.get_openapi(title=app.title, version=version, routes=app.routes)
        signature = served.served.model.signature if served.is_ready else None
        document["paths"] |= openapi.prediction_paths(served.model_name, signature)
        return document

    app.openapi = describe  # type: ignore[method-assign]
    shortcut = shortcuts.Shortcuts(app, hot, {"model": served.model_name, "version": v2.VERSION})
    gated: asgi.Application = shortcut if rules.are_open else gate.Gate(shortcut, rules)
    guarded = guard.Guard(gated, served, counters, max_body_bytes)
    if rules.are_open:
        guarded.express = express.Express(guarded, served, shortcut.routes)
    return guarded


async def _answer_unexpected(request: starlette.requests.Request, error: Exception) -> fastapi.Response:
    """Answers what should not happen; the guard logs it."""
    del error
    body = http_errors.body_for(request.url.path, 500, "internal error")
    return fastapi.Response(body, 500, media_type="application/json")


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
        http_errors.body_for(request.url.path, error.status_code, message),
        error.status_code,
        headers=dict(error.headers or {}),
        media_type="application/json",
    )
