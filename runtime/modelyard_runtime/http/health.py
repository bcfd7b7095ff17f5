"""Liveness, readiness and metrics: what the kubelet, Prometheus and protocol clients ask.

Routes for `http.framework`, which describe what `http.answers` answers.
"""

from collections.abc import Mapping

import fastapi

from modelyard_runtime.http import answers


def respond(answer: answers.Answer) -> fastapi.Response:
    """Gives an answer from memory as the framework sends it."""
    status, content_type, body = answer()
    return fastapi.Response(body, status, headers={"content-type": content_type.decode()})


def build_router(known: Mapping[str, answers.Answer]) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["health"])
    plain = fastapi.responses.PlainTextResponse

    @router.get("/livez", summary="The process answers", response_model=dict[str, str])
    async def livez() -> fastapi.Response:
        return respond(known["/livez"])

    @router.get(
        "/readyz",
        summary="The model is loaded and warmed",
        responses=_NOT_READY,
        response_model=dict[str, bool | str],
    )
    async def readyz() -> fastapi.Response:
        return respond(known["/readyz"])

    @router.get("/metrics", summary="Prometheus metrics", response_class=plain)
    async def render_metrics() -> fastapi.Response:
        return respond(known["/metrics"])

    @router.get("/v2/health/live", summary="The process answers", response_model=dict[str, bool])
    async def v2_live() -> fastapi.Response:
        return respond(known["/v2/health/live"])

    @router.get(
        "/v2/health/ready",
        summary="The model is loaded and warmed",
        responses=_NOT_READY,
        response_model=dict[str, bool],
    )
    async def v2_ready() -> fastapi.Response:
        return respond(known["/v2/health/ready"])

    return router


_NOT_READY: dict[int | str, dict[str, object]] = {503: {"description": "Loading, or shutting down"}}
