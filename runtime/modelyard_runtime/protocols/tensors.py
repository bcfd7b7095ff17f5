"""Numbers and texts in JSON → NumPy arrays: tensors that state datatype and shape, and plain nested lists.

Called by the protocols. Pure. A stated shape is a claim to check, never a size to allocate.
"""

import functools
import math
import types
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors, schemas
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies

Tensor = npt.NDArray[Any]

DTYPES: Mapping[str, "np.dtype[Any]"] = {
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
# Tensors that have no JSON form of their own, and what their numbers are read into where the model wants them.
_WITHOUT_JSON: Mapping[str, "np.dtype[Any]"] = {
    "FP16": np.dtype(np.float16),
    "BF16": np.dtype(np.float32),
}
_ELEMENTS: Mapping[str, type] = {"b": bool, "u": int, "i": int, "f": float, "O": str}
MAX_DIMENSIONS = 32


@functools.cache
def _nested_type(kind: str, dimensions: int, missing: bool) -> Any:
    """Gives the type of lists nested that deep: no booleans among numbers, no text among either."""
    element: Any = _ELEMENTS[kind]
    nested: Any = element | None if missing else element
    for _ in range(dimensions):
        nested = types.GenericAlias(list, (nested,))
    return nested


@functools.cache
def _decoder(kind: str, dimensions: int, missing: bool) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_nested_type(kind, dimensions, missing))


def decode_stated(tensor: schemas.InferInput, allows_missing: bool) -> Tensor:
    """Gives a tensor that states its datatype and shape; `null` is a missing value where the model allows them.

    Raises `InvalidInput` naming the input when data, datatype and shape don't agree.
    """
    where = place(tensor)
    if tensor.data is schemas.NO_DATA:
        raise errors.InvalidInput(f"{where} has no `data` and no `binary_data_size`")
    dtype = DTYPES.get(tensor.datatype)
    if dtype is None:
        raise errors.InvalidInput(
            f"{where} has the datatype {tensor.datatype[:40]!r}; in JSON it can be {', '.join(DTYPES)}"
        )
    check_rank(tensor.shape, where)
    missing = allows_missing and dtype.kind in ("f", "O")
    values = _decode_data(tensor.data, len(tensor.shape), tensor.datatype, missing, where)
    array = _as_array(values, dtype, tensor.datatype, where)
    if array.ndim > 1 and list(array.shape) != tensor.shape:
        raise errors.InvalidInput(
            f"{where} states the shape {tensor.shape}, but its data are nested as {list(array.shape)}"
        )
    check_size(array.size, tensor.shape, where)
    return array.reshape(tensor.shape)


def of_floats(tensor: schemas.FlatInput) -> Tensor:
    """Gives the tensor that a flat list of numbers stands for; raises `InvalidInput` as `decode_stated` does."""
    where = place(tensor)
    check_rank(tensor.shape, where)
    array = _as_array(tensor.data, DTYPES[tensor.datatype], tensor.datatype, where)
    check_size(array.size, tensor.shape, where)
    return array.reshape(tensor.shape)


def decode_nested(source: msgspec.Raw | Any, spec: models.TensorSpec, allows_missing: bool) -> Tensor:
    """Gives an input from lists nested as deep as it has dimensions; raises `InvalidInput`.

    The elements are read strictly as the input's datatype. Whether the shape fits is for the model to say.
    """
    where = f"input {spec.name[:80]!r}"
    depth = _depth(source)
    if depth > MAX_DIMENSIONS:
        raise errors.InvalidInput(
            f"{where} is nested too deeply; at most {MAX_DIMENSIONS} dimensions are taken"
        )
    datatype = spec.datatype
    dtype = DTYPES.get(datatype) or _WITHOUT_JSON.get(datatype, DTYPES["FP64"])
    missing = allows_missing and dtype.kind in ("f", "O")
    try:
        values = _typed(source, dtype.kind, depth, missing)
    except msgspec.ValidationError as error:
        raise _wrong_type(error, datatype, where) from None
    return _as_array(values, dtype, datatype, where)


def place(tensor: schemas.InferInput | schemas.FlatInput) -> str:
    """Gives what to call an input in a message."""
    return f"input {tensor.name[:80]!r}"


def check_rank(shape: list[int], where: str) -> None:
    """Raises `InvalidInput` for a tensor of more dimensions than are taken."""
    if len(shape) > MAX_DIMENSIONS:
        raise errors.InvalidInput(f"{where} has {len(shape)} dimensions; at most {MAX_DIMENSIONS} are taken")


def check_size(count: int, shape: list[int], where: str) -> None:
    """Raises `InvalidInput` when there are not as many values as the shape says."""
    if count != math.prod(shape):
        raise errors.InvalidInput(
            f"{where} states the shape {shape} ({math.prod(shape)} values), but has {count}"
        )


def _decode_data(data: msgspec.Raw, rank: int, datatype: str, missing: bool, where: str) -> Any:
    """Gives the data as (nested) lists: flat, or nested as deep as the shape says."""
    kind = DTYPES[datatype].kind
    flat_problem: msgspec.ValidationError | None = None
    try:
        return _typed(data, kind, 1, missing)
    except msgspec.ValidationError as error:
        flat_problem = error
    if rank != 1 and (rank == 0 or _depth(data) > 1):
        try:
            return _typed(data, kind, rank, missing)
        except msgspec.ValidationError as error:
            # The deeper attempt's error is the better one, as the data are nested.
            flat_problem = error
    raise _wrong_type(flat_problem, datatype, where)


def _typed(source: msgspec.Raw | Any, kind: str, depth: int, missing: bool) -> Any:
    if isinstance(source, msgspec.Raw):
        return bodies.decode(_decoder(kind, depth, missing), bytes(source))
    try:
        return msgspec.convert(source, _nested_type(kind, depth, missing))
    except RecursionError:
        raise errors.InvalidInput(
            "the body is nested too deeply; tensors are lists of plain values"
        ) from None


def _depth(source: msgspec.Raw | Any) -> int:
    """Gives how deep lists are nested, going by the first element of each."""
    depth = 0
    if isinstance(source, msgspec.Raw):
        for byte in bytes(source):
            if byte == 0x5B:  # [
                depth += 1
            elif byte not in b" \t\r\n":
                break
            if depth > MAX_DIMENSIONS:
                break
        return depth
    while isinstance(source, list) and depth <= MAX_DIMENSIONS:
        depth += 1
        if not source:
            break
        source = source[0]
    return depth


def _wrong_type(error: msgspec.ValidationError, datatype: str, where: str) -> errors.InvalidInput:
    what, _, position = str(error).partition(" - at ")
    position = position.strip("`").removeprefix("$")
    return errors.InvalidInput(f"{where}, data{position}: {what[:1].lower() + what[1:]} for {datatype}")


def _as_array(values: Any, dtype: "np.dtype[Any]", datatype: str, where: str) -> Tensor:
    try:
        if dtype == np.float64:
            # JSON has no number that is not finite, and the decoder refuses what a float can't hold.
            return np.array(values, dtype=dtype)
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
