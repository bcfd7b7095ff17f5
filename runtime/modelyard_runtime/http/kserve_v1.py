"""What KServe's protocol V1 tells of the model: `GET /v1/models` and `GET /v1/models/{model}`.

Routes for `http.framework`, answered from memory.
"""

import fastapi
import orjson

from modelyard_runtime import service
from modelyard_runtime.http import errors as http_errors
from modelyard_runtime.http import inference


def build_router(served: service.Service) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["metadata"])

    @router.get("/v1/models", summary="The model's name, KServe V1")
    async def listed() -> dict[str, list[str]]:
        return {"models": [served.model_name]}

    @router.get(
        "/v1/models/{model}",
        summary="The model is loaded and warmed, KServe V1",
        responses={404: {"description": "There is no such model here"}, 503: {"description": "Not ready"}},
    )
    async def ready(model: str) -> fastapi.Response:
        status, body = 404, http_errors.body_of(inference.unknown_model(served, model, None) or "")
        if model == served.model_name:
            status = 200 if served.is_ready else 503
            body = orjson.dumps({"name": model, "ready": served.is_ready})
        return fastapi.Response(body, status, media_type="application/json")

    return router
