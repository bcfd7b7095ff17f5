"""JSON Schemas and examples of what a model takes and gives, in each protocol's form.

Called by `http.openapi`. Pure.
"""

import math
from typing import Any

from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import answers

Schema = dict[str, Any]

_VALUES: dict[models.Kind, Schema] = {
    models.Kind.NUMBER: {"type": "number"},
    models.Kind.TEXT: {"type": "string"},
    models.Kind.ANY: {"type": ["number", "string", "boolean"]},
}
_FREE_SIZE = 3  # of an example, where a size may vary


def simple_request(signature: models.Signature) -> Schema:
    """Gives the schema of `/predict`'s body."""
    properties: Schema = {models.TABLE: _rows(signature)}
    required = [models.TABLE]
    if signature.inputs:
        properties = {spec.name: _tensor_values(spec) for spec in signature.inputs}
        required = [spec.name for spec in signature.inputs if spec.name not in signature.optional]
    if signature.parameters:
        properties.setdefault("parameters", _parameters(signature))
    schema: Schema = {"type": "object", "required": required, "properties": properties}
    if len(required) == 1 and required[0] != models.TABLE:
        del schema["required"]
        properties[models.TABLE] = properties[required[0]]
        schema["oneOf"] = [{"required": required}, {"required": [models.TABLE]}]
    return schema


def simple_example(signature: models.Signature) -> dict[str, Any]:
    """Gives a body of `/predict` that is answered."""
    if signature.inputs:
        return {name: _nested(shape, data) for name, (shape, data) in example_tensors(signature).items()}
    return {models.TABLE: [example_row(signature)]}


def simple_response(signature: models.Signature) -> Schema:
    """Gives the schema of `/predict`'s answer."""
    properties: Schema = {}
    for spec in signature.outputs:
        name = answers.PROBABILITIES if spec.name == models.PROBABILITY else spec.name
        properties[name if properties else answers.PREDICTIONS] = _output_values(spec)
    if signature.classes is not None:
        properties["classes"] = {"type": "array"}
    return {"type": "object", "required": [answers.PREDICTIONS], "properties": properties}


def instances(signature: models.Signature) -> Schema:
    """Gives the schema of KServe V1's body."""
    return {
        "type": "object",
        "properties": {
            "instances": _rows(signature) if not signature.inputs else {"type": "array", "minItems": 1},
            "inputs": {"type": ["array", "object"]},
            "parameters": _parameters(signature),
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    }


def example_instances(signature: models.Signature) -> list[Any]:
    """Gives instances that are answered."""
    if not signature.inputs:
        return [example_row(signature)]
    tensors = {name: _nested(*one) for name, one in example_tensors(signature).items()}
    return [{name: value[0] for name, value in tensors.items()}]


def example_inputs(signature: models.Signature) -> Any:
    """Gives `inputs` of KServe V1 and MLflow that are answered."""
    return simple_example(signature) if signature.inputs else [example_row(signature)]


def predictions() -> Schema:
    """Gives the schema of KServe V1's and MLflow's answer."""
    return {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": ["array", "object"]}},
    }


def invocations(signature: models.Signature) -> Schema:
    """Gives the schema of MLflow's body."""
    forms: Schema = {
        "dataframe_split": {"type": "object", "required": ["data"]},
        "dataframe_records": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        "instances": {"type": "array"},
        "inputs": {"type": ["array", "object"]},
    }
    return {
        "type": "object",
        "properties": {**forms, "params": _parameters(signature)},
        "oneOf": [{"required": [name]} for name in forms],
    }


def infer_request(signature: models.Signature) -> Schema:
    """Gives the schema of an Open Inference Protocol request in JSON."""
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "minItems": 1, "items": _tensor({})},
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


def infer_response(signature: models.Signature) -> Schema:
    """Gives the schema of an Open Inference Protocol response in JSON."""
    tensor = _tensor({"items": {"type": ["number", "string", "boolean", "null"]}})
    tensor["properties"]["name"] = {"enum": [output.name for output in signature.outputs]}
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": tensor},
        },
    }


def example_row(signature: models.Signature) -> Any:
    """Gives one row the model takes, made up."""
    if signature.takes_documents:
        return "some text"
    if signature.features is None:
        return [1.0, 2.0]
    return ["text" if feature.kind is models.Kind.TEXT else 0.5 for feature in signature.features]


def example_tensors(signature: models.Signature) -> dict[str, tuple[tuple[int, ...], list[Any]]]:
    """Gives shape and flat data of the inputs that can't be left out, made up: one row each."""
    made: dict[str, tuple[tuple[int, ...], list[Any]]] = {}
    for spec in signature.inputs:
        if spec.name in signature.optional:
            continue
        rest = tuple(size if size > 0 else _FREE_SIZE for size in spec.shape[1:])
        shape = (max(spec.shape[0], 1) if spec.shape else 1, *rest)
        value: Any = {"BYTES": "text", "BOOL": True}.get(spec.datatype, 0)
        made[spec.name] = (shape, [value] * math.prod(shape))
    return made


def json_datatype(datatype: str) -> str:
    """Gives the datatype to state in JSON, which has no half precision."""
    return "FP32" if datatype in ("FP16", "BF16") else datatype


def _rows(signature: models.Signature) -> Schema:
    row: Schema
    if signature.takes_documents:
        row = {"type": "string", "description": "one text"}
    elif signature.features is None:
        row = {"type": ["array", "number"], "items": {"type": "number"}, "minItems": 1}
    else:
        nulls = signature.allows_missing or not signature.is_numeric
        row = _row(signature.features, nulls)
        if signature.is_named:
            by_name = {feature.name: _value(feature.kind, nulls) for feature in signature.features}
            row = {"anyOf": [row, {"type": "object", "required": list(by_name), "properties": by_name}]}
        elif len(signature.features) == 1:
            row = {"anyOf": [row, _value(signature.features[0].kind, nulls)]}
    return {"type": "array", "items": row, "minItems": 1, "description": "one item per row"}


def _row(features: tuple[models.Feature, ...], nulls: bool) -> Schema:
    return {
        "type": "array",
        "prefixItems": [{**_value(feature.kind, nulls), "title": feature.name} for feature in features],
        "minItems": len(features),
        "maxItems": len(features),
    }


def _value(kind: models.Kind, nulls: bool) -> Schema:
    types = _VALUES[kind]["type"]
    listed = types if isinstance(types, list) else [types]
    return {"type": [*listed, "null"]} if nulls else _VALUES[kind]


def _tensor_values(spec: models.TensorSpec) -> Schema:
    schema: Schema = {"type": {"BYTES": "string", "BOOL": "boolean"}.get(spec.datatype, "number")}
    for size in reversed(spec.shape):
        schema = {"type": "array", "items": schema}
        if size >= 0:
            schema |= {"minItems": size, "maxItems": size}
    return schema if spec.shape else {}


def _output_values(spec: models.TensorSpec) -> Schema:
    default = "number" if spec.datatype.startswith(("FP", "BF")) else "integer"
    item: Schema = {"type": [{"BOOL": "boolean", "BYTES": "string"}.get(spec.datatype, default), "null"]}
    for _ in spec.shape[1:]:
        item = {"type": "array", "items": item}
    return {"type": "array", "items": item} if spec.shape else {}


def _parameters(signature: models.Signature) -> Schema:
    value: Schema = {"type": ["string", "number", "boolean"]}
    return {
        "type": "object",
        "properties": {
            name: {**value, "description": meaning} for name, meaning in signature.parameters.items()
        },
    }


def _tensor(data: Schema) -> Schema:
    return {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string"},
            "parameters": {"type": "object"},
            "data": {"type": "array", **data},
        },
    }


def _nested(shape: tuple[int, ...], data: list[Any]) -> Any:
    nested: list[Any] = data
    for size in reversed(shape[1:]):
        nested = [nested[start : start + size] for start in range(0, len(nested), size)]
    return nested
