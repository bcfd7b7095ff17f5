"""The OpenAPI document of the two prediction routes, with this model's own signature.

`http.app` merges it with what FastAPI derives from the other routes. Pure.
"""

from typing import Any

from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import v2_metadata

_REFUSALS = {
    "400": "The input does not fit the model; the message says what does",
    "408": "The body came too slowly",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "429": "Too many requests wait for this model; see Retry-After",
    "500": "The model failed on this input",
    "503": "Loading, or shutting down",
}


def prediction_paths(model_name: str, signature: models.Signature | None) -> dict[str, Any]:
    """Gives the path items; without a signature (still loading) the schemas are general."""
    known = signature or models.Signature()
    infer_responses = _responses(_infer_response(known))
    infer_responses["404"] = _refusal("There is no such model here")
    return {
        "/predict": {
            "post": {
                "tags": ["predict"],
                "summary": f"Predictions of {model_name}",
                "operationId": "predict",
                "requestBody": _body(_predict_request(known), {"X": [example_row(known)]}),
                "responses": _responses(_predict_response(known)),
            }
        },
        f"/v2/models/{model_name}/infer": {
            "post": {
                "tags": ["predict"],
                "summary": f"Predictions of {model_name}, Open Inference Protocol",
                "operationId": "infer",
                "requestBody": _body(_infer_request(known), {"inputs": _example_inputs(known)}),
                "responses": infer_responses,
            }
        },
    }


def example_row(signature: models.Signature) -> Any:
    """Gives one row the model takes, made up."""
    if signature.takes_documents:
        return "some text"
    if signature.features is None:
        return [1.0, 2.0]
    return [_example_value(feature.kind) for feature in signature.features]


def _example_value(kind: models.Kind) -> Any:
    return "text" if kind is models.Kind.TEXT else 0.5


def _example_inputs(signature: models.Signature) -> list[dict[str, Any]]:
    row = example_row(signature)
    if signature.takes_documents:
        return [{"name": models.TABLE, "shape": [1], "datatype": "BYTES", "data": [row]}]
    described = v2_metadata.describe_inputs(signature)
    if len(described) == 1:
        return [{**described[0], "shape": [1, len(row)], "data": row}]
    return [{**one, "shape": [1, 1], "data": [value]} for one, value in zip(described, row, strict=True)]


_VALUE_SCHEMAS: dict[models.Kind, dict[str, Any]] = {
    models.Kind.NUMBER: {"type": "number"},
    models.Kind.TEXT: {"type": "string"},
    models.Kind.ANY: {"type": ["number", "string", "boolean"]},
}


def _predict_request(signature: models.Signature) -> dict[str, Any]:
    if signature.takes_documents:
        row: dict[str, Any] = {"type": "string", "description": "one text"}
    elif signature.features is None:
        row = {"type": "array", "items": {"type": "number"}, "minItems": 1}
    else:
        row = {
            "type": "array",
            "prefixItems": [
                {**_VALUE_SCHEMAS[feature.kind], "title": feature.name} for feature in signature.features
            ],
            "minItems": len(signature.features),
            "maxItems": len(signature.features),
        }
    return {
        "type": "object",
        "required": ["X"],
        "properties": {
            "X": {"type": "array", "items": row, "minItems": 1, "description": "one item per row"}
        },
    }


_OUTPUT_TYPES = {"BOOL": "boolean", "BYTES": "string"}


def _output_item(signature: models.Signature) -> dict[str, Any]:
    output = signature.outputs[0]
    datatype = output.datatype
    default = "number" if datatype.startswith("FP") else "integer"
    item: dict[str, Any] = {"type": [_OUTPUT_TYPES.get(datatype, default), "null"]}
    for _ in output.shape[1:]:
        item = {"type": "array", "items": item}
    return item


def _predict_response(signature: models.Signature) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["y_pred"],
        "properties": {"y_pred": {"type": "array", "items": _output_item(signature)}},
    }


def _tensor(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string"},
            "parameters": {"type": "object"},
            "data": data,
        },
    }


def _infer_request(signature: models.Signature) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "minItems": 1, "items": _tensor({"type": "array", "items": {}})},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"enum": [output.name for output in signature.outputs]}},
                },
            },
        },
    }


def _infer_response(signature: models.Signature) -> dict[str, Any]:
    flat = {"type": "array", "items": {"type": _output_item(signature).get("type", "array")}}
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": _tensor(flat)},
        },
    }


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _responses(schema: dict[str, Any]) -> dict[str, Any]:
    answered = {"description": "One prediction per row", "content": {"application/json": {"schema": schema}}}
    return {"200": answered, **{code: _refusal(text) for code, text in _REFUSALS.items()}}


def _refusal(description: str) -> dict[str, Any]:
    error = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    return {"description": description, "content": {"application/json": {"schema": error}}}
