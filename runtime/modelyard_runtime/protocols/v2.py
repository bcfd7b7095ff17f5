"""The Open Inference Protocol version 2 over REST, JSON form.

`http.inference` calls `decode_request` and `encode_response`; `http.metadata` the rest. Pure.
Tensors arrive in `protocols.tensors`; here is what the request as a whole means for the model.
"""

import dataclasses
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime import errors, schemas
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import rows, tensors

NAME = "v2"
VERSION = "1"

_REQUEST = msgspec.json.Decoder(schemas.InferRequest)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A decoded inference request."""

    request: models.Request
    request_id: str | None


def decode_request(body: bytes, signature: models.Signature) -> Call:
    """Gives the request for the model and its id; raises `InvalidInput`."""
    try:
        request = bodies.decode(_REQUEST, body)
    except msgspec.ValidationError as error:
        raise errors.InvalidInput(bodies.as_sentence(error)) from None
    wanted = _wanted(request.outputs, signature)
    if not request.inputs:
        raise errors.InvalidInput(f"inputs is empty; the model takes {_expected_inputs(signature)}")
    return Call(models.table_request(_assemble(request.inputs, signature), wanted), request.id)


def _wanted(outputs: list[schemas.InferOutput] | None, signature: models.Signature) -> frozenset[str]:
    """Gives the outputs the caller names, or the default ones."""
    if not outputs:
        return signature.default_outputs
    known = [output.name for output in signature.outputs]
    for output in outputs:
        if output.name not in known:
            raise errors.InvalidInput(
                f"the model has no output {output.name[:80]!r}; it has {', '.join(map(repr, known))}"
            )
    return frozenset(output.name for output in outputs)


def encode_response(outputs: models.Tensors, model_name: str, request_id: str | None) -> bytes:
    """Gives the response body; the data are flat, in row-major order."""
    response: dict[str, object] = {"model_name": model_name, "model_version": VERSION}
    if request_id is not None:
        response["id"] = request_id
    response["outputs"] = [_tensor(name, array) for name, array in outputs.items()]
    return bodies.encode(response)


def _tensor(name: str, array: tensors.Tensor) -> dict[str, object]:
    datatype = models.datatype_of(array.dtype)
    data = bodies.jsonable(array.ravel())
    if datatype == "BYTES" and isinstance(data, list):
        data = [item if isinstance(item, str) else str(item) for item in data]
    return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": data}


def describe_inputs(signature: models.Signature) -> list[dict[str, Any]]:
    """Gives the metadata of the inputs: one tensor per feature for a model with named features, else one matrix."""
    if signature.takes_documents:
        return [{"name": models.TABLE, "datatype": "BYTES", "shape": [-1]}]
    if signature.is_named and signature.features is not None:
        return [
            {"name": feature.name, "datatype": _datatype(feature.kind), "shape": [-1, 1]}
            for feature in signature.features
        ]
    width = -1 if signature.features is None else len(signature.features)
    return [
        {"name": models.TABLE, "datatype": "FP64" if signature.is_numeric else "BYTES", "shape": [-1, width]}
    ]


def describe_outputs(signature: models.Signature) -> list[dict[str, Any]]:
    """Gives the metadata of the outputs."""
    return [
        {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        for output in signature.outputs
    ]


def _datatype(kind: models.Kind) -> str:
    return "FP64" if kind is models.Kind.NUMBER else "BYTES"


def _assemble(inputs: list[schemas.InferInput], signature: models.Signature) -> models.Table:
    names = [one.name for one in inputs]
    if len(set(names)) != len(names):
        raise errors.InvalidInput("two inputs have the same name")
    decoded = {
        one.name: tensors.decode(one, signature.allows_missing or not signature.is_numeric) for one in inputs
    }
    features = [feature.name for feature in signature.features or ()] if signature.is_named else []
    if features and names[0] in features:
        return _from_columns(decoded, signature, features)
    if len(inputs) == 1:
        return _from_tensor(names[0], decoded[names[0]], signature)
    raise errors.InvalidInput(
        f"the inputs {', '.join(names)[:200]} are not the model's: it takes {_expected_inputs(signature)}"
    )


def _expected_inputs(signature: models.Signature) -> str:
    if signature.takes_documents:
        return "one BYTES tensor of shape [-1]"
    width = "-1" if signature.features is None else str(len(signature.features))
    matrix = f"one tensor of shape [-1, {width}]"
    return f"{matrix}, or one tensor per feature: {signature.expected}" if signature.is_named else matrix


def _from_columns(
    decoded: dict[str, tensors.Tensor], signature: models.Signature, features: list[str]
) -> models.Table:
    missing = [name for name in features if name not in decoded]
    unknown = [name for name in decoded if name not in features]
    if missing or unknown:
        problem = (
            f"the input {missing[0]!r} is missing" if missing else f"the input {unknown[0][:80]!r} is unknown"
        )
        raise errors.InvalidInput(f"{problem}; the model takes {signature.expected}")
    columns: list[tensors.Tensor] = []
    for name in features:
        tensor = decoded[name]
        if tensor.ndim not in (1, 2) or (tensor.ndim == 2 and tensor.shape[1] != 1):
            raise errors.InvalidInput(
                f"input {name!r} has the shape {list(tensor.shape)}; one feature has [-1] or [-1, 1]"
            )
        columns.append(tensor.reshape(-1))
    lengths = {column.shape[0] for column in columns}
    if len(lengths) != 1:
        raise errors.InvalidInput(
            f"the inputs have different numbers of rows: {', '.join(map(str, sorted(lengths)))}"
        )
    table: models.Table = np.column_stack([_plain(column, signature) for column in columns])
    return _checked(table, signature)


def _from_tensor(name: str, tensor: tensors.Tensor, signature: models.Signature) -> models.Table:
    if signature.takes_documents:
        if (
            tensor.dtype.kind != "O"
            or tensor.ndim not in (1, 2)
            or (tensor.ndim == 2 and tensor.shape[1] != 1)
        ):
            raise errors.InvalidInput(f"input {name!r}: the model takes {_expected_inputs(signature)}")
        return rows.build_table(tensor.reshape(-1).tolist(), signature)
    if tensor.ndim == 1 and (signature.features is None or len(signature.features) == 1):
        tensor = tensor.reshape(-1, 1)
    width_fits = signature.features is None or (
        tensor.ndim == 2 and tensor.shape[1] == len(signature.features)
    )
    if tensor.ndim != 2 or not width_fits:
        raise errors.InvalidInput(
            f"input {name!r} has the shape {list(tensor.shape)}, but the model takes {_expected_inputs(signature)}"
        )
    return _checked(_plain(tensor, signature), signature)


def _plain(tensor: tensors.Tensor, signature: models.Signature) -> models.Table:
    """Gives float64 for numbers; the column of a model that takes text stays as it is."""
    if tensor.dtype.kind == "O" or not signature.is_numeric:
        return tensor.astype(np.object_)
    return tensor.astype(np.float64, copy=False)


def _checked(table: models.Table, signature: models.Signature) -> models.Table:
    if table.shape[0] == 0:
        raise errors.InvalidInput("the inputs have no rows; send at least one")
    if table.dtype.kind == "O":
        # Text is among the values: check each against its feature's kind, and name the one that is wrong.
        return rows.build_table(table.tolist(), signature)
    return table
