"""Liveness, readiness and metrics: what the kubelet, Prometheus and protocol clients ask.

Routes for `http.app`. They answer from memory, take no slot of the queue and never wait for the model.
"""

import fastapi
import prometheus_client

from modelyard_runtime import metrics, service


def build_router(inference: service.Service, counters: metrics.Metrics) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["health"])

    @router.get("/livez", summary="The process answers")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz", summary="The model is loaded and warmed", responses=_NOT_READY)
    async def readyz(response: fastapi.Response) -> dict[str, bool | str]:
        response.status_code = 200 if inference.is_pod_ready else 503
        return {"ready": inference.is_pod_ready, "stage": inference.stage.value}

    @router.get("/metrics", summary="Prometheus metrics", response_class=fastapi.responses.PlainTextResponse)
    async def render_metrics() -> fastapi.Response:
        return fastapi.Response(counters.render(), media_type=prometheus_client.CONTENT_TYPE_LATEST)

    @router.get("/v2/health/live", summary="The process answers")
    async def v2_live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/v2/health/ready", summary="The model is loaded and warmed", responses=_NOT_READY)
    async def v2_ready(response: fastapi.Response) -> dict[str, bool]:
        response.status_code = 200 if inference.is_pod_ready else 503
        return {"ready": inference.is_pod_ready}

    return router


_NOT_READY: dict[int | str, dict[str, object]] = {503: {"description": "Loading, or shutting down"}}
