"""What is served here: `/`, `/v2` and the model's metadata.

Routes for `http.framework`, answered from memory.
"""

from collections.abc import Mapping
from typing import Any

import fastapi
import orjson

from modelyard_runtime import service
from modelyard_runtime.http import answers, descriptions, health, inference, page
from modelyard_runtime.http import errors as http_errors


def build_router(
    served: service.Service, version: str, known: Mapping[str, answers.Answer]
) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["metadata"])

    @router.get("/", summary="What is here and how to call it; for browsers a page to try it on")
    async def index(request: fastapi.Request) -> fastapi.Response:
        if page.is_wanted(request.headers.get("accept", "")):
            return page.respond("page.html")
        return _json(200, orjson.dumps(descriptions.describe_server(served, version)))

    @router.get("/v2", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "modelyard", "version": version, "extensions": ["binary_tensor_data"]}

    @router.get("/v2/models/{model}", summary="The model's inputs and outputs", responses=_UNKNOWN)
    @router.get("/v2/models/{model}/versions/{model_version}", include_in_schema=False)
    async def metadata(model: str, model_version: str | None = None) -> fastapi.Response:
        if (unknown := inference.unknown_model(served, model, model_version)) is not None:
            return _json(404, http_errors.body_of(unknown))
        return health.respond(known[answers.MODEL])

    @router.get("/v2/models/{model}/ready", summary="The model is loaded and warmed", responses=_UNKNOWN)
    @router.get("/v2/models/{model}/versions/{model_version}/ready", include_in_schema=False)
    async def model_ready(model: str, model_version: str | None = None) -> fastapi.Response:
        if (unknown := inference.unknown_model(served, model, model_version)) is not None:
            return _json(404, http_errors.body_of(unknown))
        return health.respond(known[answers.MODEL_READY])

    return router


_UNKNOWN: dict[int | str, dict[str, object]] = {
    404: {"description": "There is no such model here"},
    503: {"description": "Loading, or shutting down"},
}


def _json(status: int, body: bytes) -> fastapi.Response:
    return fastapi.Response(body, status_code=status, media_type="application/json")
