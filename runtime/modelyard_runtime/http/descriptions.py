"""What is served here, in words for people and in the Open Inference Protocol's for machines.

Called by `http.answers` and `http.metadata`. Pure: it reads the service and knows no transport.
"""

from typing import Any

from modelyard_runtime import service
from modelyard_runtime.protocols import rows, v2_metadata


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
