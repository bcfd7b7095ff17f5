"""What MLflow's scoring server answers besides predictions: `GET /ping`, `GET /health`, `GET /version`.

Routes for `http.app`, answered from memory.
"""

import fastapi

from modelyard_runtime import service


def build_router(served: service.Service, version: str) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["health"])
    not_ready: dict[int | str, dict[str, object]] = {503: {"description": "Loading, or shutting down"}}

    plain = fastapi.responses.PlainTextResponse

    @router.get("/ping", summary="Loaded and warmed, MLflow", responses=not_ready, response_class=plain)
    @router.get("/health", summary="The same as /ping", responses=not_ready, response_class=plain)
    async def ping() -> fastapi.Response:
        # Clients go by the code; MLflow's own server says as little, and calls it JSON.
        return fastapi.Response("\n", 200 if served.is_ready else 503, media_type="text/plain")

    @router.get("/version", summary="The version of this server", response_class=plain)
    async def tell_version() -> fastapi.Response:
        return fastapi.Response(version, media_type="text/plain")

    return router
