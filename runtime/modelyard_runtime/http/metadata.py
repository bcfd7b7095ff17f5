"""What is served here: `/`, `/v2` and the model's metadata.

Routes for `http.app`, answered from memory.
"""

from typing import Any

import fastapi
import orjson

from modelyard_runtime import errors, service
from modelyard_runtime.http import errors as http_errors
from modelyard_runtime.http import inference, page
from modelyard_runtime.protocols import rows, v2_metadata


def build_router(served: service.Service, version: str) -> fastapi.APIRouter:
    """Gives the routes."""
    router = fastapi.APIRouter(tags=["metadata"])

    @router.get("/", summary="What is here and how to call it; for browsers a page to try it on")
    async def index(request: fastapi.Request) -> fastapi.Response:
        if page.is_wanted(request.headers.get("accept", "")):
            return page.respond("page.html")
        return _json(200, orjson.dumps(describe_server(served, version)))

    @router.get("/v2", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "modelyard", "version": version, "extensions": ["binary_tensor_data"]}

    @router.get("/v2/models/{model}", summary="The model's inputs and outputs", responses=_UNKNOWN)
    @router.get("/v2/models/{model}/versions/{model_version}", include_in_schema=False)
    async def metadata(model: str, model_version: str | None = None) -> fastapi.Response:
        if (unknown := inference.unknown_model(served, model, model_version)) is not None:
            return _json(404, http_errors.body_of(unknown))
        try:
            return _json(200, orjson.dumps(describe_model(served)))
        except errors.NotReady as error:
            return _json(503, http_errors.body_of(error.message))

    @router.get("/v2/models/{model}/ready", summary="The model is loaded and warmed", responses=_UNKNOWN)
    @router.get("/v2/models/{model}/versions/{model_version}/ready", include_in_schema=False)
    async def model_ready(model: str, model_version: str | None = None) -> fastapi.Response:
        if (unknown := inference.unknown_model(served, model, model_version)) is not None:
            return _json(404, http_errors.body_of(unknown))
        body = {"name": model, "ready": served.is_ready}
        return _json(200 if served.is_ready else 503, orjson.dumps(body))

    return router


_UNKNOWN: dict[int | str, dict[str, object]] = {
    404: {"description": "There is no such model here"},
    503: {"description": "Loading, or shutting down"},
}


def describe_model(served: service.Service) -> dict[str, Any]:
    """Gives the Open Inference Protocol's model metadata; raises `NotReady`."""
    model = served.served.model
    manifest = served.served.manifest
    return {
        "name": served.model_name,
        "versions": [v2_metadata.VERSION],
        "platform": model.format,
        "inputs": v2_metadata.describe_inputs(model.signature),
        "outputs": v2_metadata.describe_outputs(model.signature),
        "parameters": {
            "digest": manifest.digest,
            "uri": manifest.uri,
            "format": model.format,
            "versions": dict(model.versions),
            "warnings": list(model.warnings),
            "acceleration": _describe_acceleration(served.served),
        },
    }


def _describe_acceleration(served: service.Served) -> dict[str, Any]:
    """Gives which engine answers, why, and on how many rows it was compared with the original."""
    found = served.acceleration
    if found is None:
        return {"engine": served.model.engine, "reason": "", "checked_rows": 0}
    return {"engine": found.engine, "reason": found.reason, "checked_rows": found.checked_rows}


def describe_server(served: service.Service, version: str) -> dict[str, Any]:
    """Gives what a person who opens the address in a browser needs to go on."""
    example = '{"X": [[1.0, 2.0]]}'
    if served.is_ready:
        example = f'{{"X": {rows.example(served.served.model.signature)}}}'
    return {
        "server": f"modelyard {version}",
        "model": served.model_name,
        "stage": served.stage.value,
        "predict": f"curl -s -H 'Content-Type: application/json' -d '{example}' <this address>/predict",
        "paths": {
            "/predict": "POST: predictions in the simple form",
            f"/v1/models/{served.model_name}:predict": "POST: predictions, KServe V1",
            "/invocations": "POST: predictions, MLflow's scoring protocol",
            f"/v2/models/{served.model_name}": "the model's inputs, outputs, digest and versions",
            f"/v2/models/{served.model_name}/infer": "POST: predictions in the Open Inference Protocol",
            "/openapi.json": "the API with this model's own signature",
            "/readyz": "readiness",
            "/livez": "liveness",
            "/metrics": "Prometheus metrics",
        },
    }


def _json(status: int, body: bytes) -> fastapi.Response:
    return fastapi.Response(body, status_code=status, media_type="application/json")
