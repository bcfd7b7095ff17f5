"""Tensors of the Open Inference Protocol in JSON: flat or nested data → a NumPy array of the stated datatype and shape.

Called by `protocols.v2`. Pure. The stated shape is a claim to check, never a size to allocate.
"""

import math
import types
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors, schemas
from modelyard_runtime.protocols import body as bodies

Tensor = npt.NDArray[Any]

_DTYPES: Mapping[str, "np.dtype[Any]"] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
_ELEMENTS: Mapping[str, type] = {"b": bool, "u": int, "i": int, "f": float, "O": str}
_MAX_DIMENSIONS = 4


def _decoder(element: Any, dimensions: int) -> msgspec.json.Decoder[Any]:
    nested: Any = element
    for _ in range(dimensions):
        nested = types.GenericAlias(list, (nested,))
    return msgspec.json.Decoder(nested)


# (kind of dtype, dimensions, missing values allowed) → strict decoder: no booleans among numbers, no text among either.
_DECODERS: Mapping[tuple[str, int, bool], msgspec.json.Decoder[Any]] = {
    (kind, dimensions, missing): _decoder(element | None if missing else element, dimensions)
    for kind, element in _ELEMENTS.items()
    for dimensions in range(1, _MAX_DIMENSIONS + 1)
    for missing in (False, True)
}


def decode(tensor: schemas.InferInput, allows_missing: bool) -> Tensor:
    """Gives an input tensor as an array; `null` is NaN (or None in BYTES) where the model allows missing values.

    Raises `InvalidInput` naming the input when data, datatype and shape don't agree.
    """
    where = f"input {tensor.name[:80]!r}"
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        known = ", ".join(_DTYPES)
        raise errors.InvalidInput(
            f"{where} has the datatype {tensor.datatype[:40]!r}; in JSON it can be {known}"
        )
    if not 1 <= len(tensor.shape) <= _MAX_DIMENSIONS:
        raise errors.InvalidInput(
            f"{where} has {len(tensor.shape)} dimensions; 1 to {_MAX_DIMENSIONS} are taken"
        )
    missing = allows_missing and dtype.kind in ("f", "O")
    values = _decode_data(tensor, dtype, missing, where)
    array = _as_array(values, dtype, tensor.datatype, where)
    if array.ndim > 1 and list(array.shape) != tensor.shape:
        raise errors.InvalidInput(
            f"{where} states the shape {tensor.shape}, but its data are nested as {list(array.shape)}"
        )
    if array.size != math.prod(tensor.shape):
        raise errors.InvalidInput(
            f"{where} states the shape {tensor.shape} ({math.prod(tensor.shape)} values), but has {array.size}"
        )
    return array.reshape(tensor.shape)


def _decode_data(tensor: schemas.InferInput, dtype: "np.dtype[Any]", missing: bool, where: str) -> list[Any]:
    """Gives the data as (nested) lists: flat, or nested as deep as the shape says."""
    body = bytes(tensor.data)
    first_problem: msgspec.ValidationError | None = None
    for dimensions in dict.fromkeys((1, len(tensor.shape))):
        try:
            values: list[Any] = bodies.decode(_DECODERS[dtype.kind, dimensions, missing], body)
        except msgspec.ValidationError as error:
            # The deeper attempt's error is the better one only when the data are nested at all.
            if first_problem is None or _is_nested(body):
                first_problem = error
        else:
            return values
    problem = "" if first_problem is None else str(first_problem)
    what, _, place = problem.partition(" - at ")
    position = place.strip("`").removeprefix("$")
    raise errors.InvalidInput(f"{where}, data{position}: {what[:1].lower() + what[1:]} for {tensor.datatype}")


def _is_nested(body: bytes) -> bool:
    return body.lstrip()[1:].lstrip()[:1] == b"["


def _as_array(values: list[Any], dtype: "np.dtype[Any]", datatype: str, where: str) -> Tensor:
    try:
        with np.errstate(over="ignore"):  # a number too large for FP32 becomes infinite, and is refused below
            array = np.array(values, dtype=dtype)
    except OverflowError:
        raise errors.InvalidInput(f"{where} holds an integer that does not fit {datatype}") from None
    except ValueError:
        raise errors.InvalidInput(f"{where} has rows of different lengths") from None
    if dtype.kind == "f" and np.isinf(array).any():
        raise errors.InvalidInput(f"{where} holds a number that does not fit {datatype}")
    if dtype.kind == "O" and any(isinstance(value, list) for value in array.flat):
        raise errors.InvalidInput(f"{where} has rows of different lengths")
    return array
