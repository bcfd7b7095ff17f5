"""What MLflow's scoring server answers besides predictions: `GET /ping`, `GET /health`, `GET /version`.

Routes for `http.framework`, answered from memory.
"""

from collections.abc import Mapping

import fastapi

from modelyard_runtime.http import answers, health


def build_router(version: str, known: Mapping[str, answers.Answer]) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["health"])
    not_ready: dict[int | str, dict[str, object]] = {503: {"description": "Loading, or shutting down"}}

    plain = fastapi.responses.PlainTextResponse

    @router.get("/ping", summary="Loaded and warmed, MLflow", responses=not_ready, response_class=plain)
    @router.get("/health", summary="The same as /ping", responses=not_ready, response_class=plain)
    async def ping() -> fastapi.Response:
        return health.respond(known["/ping"])

    @router.get("/version", summary="The version of this server", response_class=plain)
    async def tell_version() -> fastapi.Response:
        return fastapi.Response(version, media_type="text/plain")

    return router
