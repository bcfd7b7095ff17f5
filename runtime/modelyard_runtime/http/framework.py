"""The web framework's part of the application: FastAPI with everything that a person or a tool asks now and then.

`http.later` calls `build` when the first such request is there, in a thread: importing FastAPI and pydantic takes
longer, and more memory, than all the rest of a start, and most pods are asked nothing but predictions and probes. The
routes of those are described here as well, so that the document is whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import fastapi
import fastapi.openapi.utils
import starlette.exceptions
import starlette.requests
import starlette.routing

from modelyard_runtime import service
from modelyard_runtime.http import (
    answers,
    health,
    kserve_v1,
    metadata,
    mlflow_scoring,
    openapi,
    page,
    routes,
)
from modelyard_runtime.http import errors as http_errors


def build(
    served: service.Service, version: str, known: Mapping[str, answers.Answer], hot: Sequence[routes.Route]
) -> fastapi.FastAPI:
    """Gives the framework's application."""
    # No documentation pages: FastAPI's load their scripts from a content delivery network.
    app = fastapi.FastAPI(
        title="Modelyard", version=version, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    # First, since routes are tried in order.
    app.router.routes[:0] = [
        starlette.routing.Route(path, application, methods=[method]) for method, path, application in hot
    ]
    app.include_router(health.build_router(known))
    app.include_router(metadata.build_router(served, version, known))
    app.include_router(kserve_v1.build_router(served))
    app.include_router(mlflow_scoring.build_router(version, known))
    app.include_router(page.build_router())
    app.add_exception_handler(starlette.exceptions.HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_unexpected)

    def describe() -> dict[str, Any]:
        document = fastapi.openapi.utils.get_openapi(title=app.title, version=version, routes=app.routes)
        signature = served.served.model.signature if served.is_ready else None
        document["paths"] |= openapi.prediction_paths(served.model_name, signature)
        return document

    app.openapi = describe  # type: ignore[method-assign]
    return app


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
