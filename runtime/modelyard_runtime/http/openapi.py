"""The OpenAPI document of the routes that predict, with this model's own signature and examples.

`http.framework` merges it with what FastAPI derives from the other routes; `http.schemas` describes values. Pure.
"""

from typing import Any

from modelyard_runtime.formats import model as models
from modelyard_runtime.http import schemas
from modelyard_runtime.protocols import v2_metadata

_REFUSALS = {
    "400": "The input does not fit the model; the message says what does",
    "408": "The body came too slowly",
    "413": "The body is too large, as it comes or uncompressed",
    "415": "The body is in a form or an encoding that is not taken",
    "429": "Too many requests wait for this model; see Retry-After",
    "500": "The model failed on this input",
    "503": "Loading, or shutting down",
    "504": "The deadline in Request-Timeout has passed",
}
_JSON = "application/json"
_FILES = {
    "text/csv": {"schema": {"type": "string"}},
    "application/x-npy": {"schema": {}},
    "application/vnd.apache.arrow.stream": {"schema": {}},
}
_TIMEOUT = {
    "name": "Request-Timeout",
    "in": "header",
    "description": "Seconds after which the caller does not wait any more",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}
_PROBABILITIES = {
    "name": "proba",
    "in": "query",
    "description": "1 adds the probabilities, y_proba, and the classes they belong to",
    "schema": {"enum": ["0", "1", "true", "false"]},
}


def prediction_paths(model_name: str, signature: models.Signature | None) -> dict[str, Any]:
    """Gives the path items; without a signature (still loading) the schemas are general."""
    known = signature or models.Signature()
    return {
        "/predict": _predict(model_name, known),
        f"/v1/models/{model_name}:predict": _operation(
            f"Predictions of {model_name}, KServe V1",
            "predictV1",
            _body(schemas.instances(known), {"instances": schemas.example_instances(known)}),
            _responses(schemas.predictions()) | {"404": _refusal("There is no such model here")},
        ),
        f"/v2/models/{model_name}/infer": _infer(model_name, known),
        "/invocations": _invocations(model_name, known),
    }


def _predict(model_name: str, signature: models.Signature) -> dict[str, Any]:
    body = _body(schemas.simple_request(signature), schemas.simple_example(signature))
    responses = _responses(schemas.simple_response(signature))
    responses["406"] = _refusal("An answer can't be written in any form that is accepted")
    body["content"] |= _FILES
    responses["200"]["content"] |= _FILES
    item = _operation(f"Predictions of {model_name}", "predict", body, responses)
    if any(output.name == models.PROBABILITY for output in signature.outputs):
        item["post"]["parameters"].append(_PROBABILITIES)
    return item


def _infer(model_name: str, signature: models.Signature) -> dict[str, Any]:
    body = _body(schemas.infer_request(signature), {"inputs": _example_inputs(signature)})
    responses = _responses(schemas.infer_response(signature))
    responses["404"] = _refusal("There is no such model here")
    body["content"]["application/octet-stream"] = {"schema": {}}
    responses["200"]["content"]["application/octet-stream"] = {"schema": {}}
    item = _operation(f"Predictions of {model_name}, Open Inference Protocol", "infer", body, responses)
    item["post"]["parameters"].append(
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "Bytes of JSON before the binary tensors",
            "schema": {"type": "integer", "minimum": 0},
        }
    )
    return item


def _invocations(model_name: str, signature: models.Signature) -> dict[str, Any]:
    body = _body(schemas.invocations(signature), {"inputs": schemas.example_inputs(signature)})
    body["content"]["text/csv"] = _FILES["text/csv"]
    error = {
        "type": "object",
        "required": ["error_code", "message"],
        "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
    }
    responses = _responses(schemas.predictions(), error)
    return _operation(
        f"Predictions of {model_name}, MLflow's scoring protocol", "invocations", body, responses
    )


def _example_inputs(signature: models.Signature) -> list[dict[str, Any]]:
    described = v2_metadata.describe_inputs(signature)
    if signature.inputs:
        values = schemas.example_tensors(signature)
        return [
            {**one, "datatype": schemas.json_datatype(one["datatype"]), "shape": list(shape), "data": data}
            for one, (shape, data) in (
                (one, values[one["name"]]) for one in described if one["name"] in values
            )
        ]
    row = schemas.example_row(signature)
    if signature.takes_documents:
        return [{"name": models.TABLE, "shape": [1], "datatype": "BYTES", "data": [row]}]
    if len(described) == 1:
        return [{**described[0], "shape": [1, len(row)], "data": row}]
    return [{**one, "shape": [1, 1], "data": [value]} for one, value in zip(described, row, strict=True)]


def _operation(
    summary: str, identity: str, body: dict[str, Any], responses: dict[str, Any]
) -> dict[str, Any]:
    return {
        "post": {
            "tags": ["predict"],
            "summary": summary,
            "operationId": identity,
            "parameters": [_TIMEOUT],
            "requestBody": body,
            "responses": responses,
        }
    }


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {_JSON: {"schema": schema, "example": example}}}


_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def _responses(schema: dict[str, Any], error: dict[str, Any] = _ERROR) -> dict[str, Any]:
    answered = {"description": "One prediction per row", "content": {_JSON: {"schema": schema}}}
    return {"200": answered, **{code: _refusal(text, error) for code, text in _REFUSALS.items()}}


def _refusal(description: str, error: dict[str, Any] = _ERROR) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": error}}}
