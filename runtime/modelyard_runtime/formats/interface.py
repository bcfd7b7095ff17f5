"""`signature.json`: what an artifact says about its inputs and outputs beyond what its library records.

Called by the adapters of tensor models (`torch`, `keras`). The file lies beside the model, or within it where the
format has a place for it (docs/formats.md). It names inputs that a caller may leave out and how they are filled in: a
hidden state starts as zeros, noise is drawn, from the request's `seed` when it gives one. Pure, but for the entropy of
noise without a seed.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models

FILE_NAME = "signature.json"
SEED = "seed"
MAX_SEED = 2**63 - 1

Filling = Literal["zeros", "normal", "uniform"]
_NOISE = ("normal", "uniform")
_SEED_MEANING = "whole number from 0; the same seed draws the same noise"
_DTYPES: Mapping[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
    "BYTES": np.object_,
}  # fmt: skip


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input: what to correct or add to what the library says, and how it is filled in when it is left out."""

    datatype: str | None = None
    shape: tuple[int, ...] | None = None
    optional: Filling | None = None


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `signature.json`; everything may be absent."""

    inputs: dict[str, Input] = {}
    outputs: tuple[str, ...] = ()


EMPTY = Description()


def parse(content: bytes) -> Description:
    """Gives the description in a file; raises `StartFailure` (LoadFailed) that names the field."""
    try:
        return msgspec.json.decode(content, type=Description)
    except msgspec.DecodeError as error:
        raise _failed(f"{error}; docs/formats.md shows its form") from None


def apply(description: Description, signature: models.Signature) -> models.Signature:
    """Gives a signature completed by a description; raises `StartFailure` (LoadFailed) when they don't fit."""
    known = {one.name for one in signature.inputs}
    for name in description.inputs:
        if name not in known:
            raise _failed(f"the model has no input {name!r}; it has {', '.join(sorted(known))}")
    if description.outputs and len(description.outputs) != len(signature.outputs):
        raise _failed(
            f"it names {len(description.outputs)} outputs, and the model gives {len(signature.outputs)}"
        )
    inputs = tuple(_completed(one, description.inputs.get(one.name, Input())) for one in signature.inputs)
    optional = frozenset(name for name, one in description.inputs.items() if one.optional)
    for one in inputs:
        if one.name in optional and (not one.shape or -1 in one.shape[1:]):
            raise _failed(
                f"the input {one.name!r} can't be optional: only its first size may vary, not {list(one.shape)}"
            )
        if description.inputs.get(one.name, Input()).optional in _NOISE and one.datatype not in (
            "FP32",
            "FP64",
        ):
            raise _failed(
                f"the input {one.name!r} can't be filled with noise: it is {one.datatype}, not FP32 or FP64"
            )
    draws = any(one.optional in _NOISE for one in description.inputs.values())
    return msgspec.structs.replace(
        signature,
        inputs=inputs,
        optional=optional,
        parameters={**signature.parameters, **({SEED: _SEED_MEANING} if draws else {})},
        # Noise is drawn per request: rows of two requests in one call would not get what each alone gets.
        is_row_wise=signature.is_row_wise and not draws,
    )


def fill(
    description: Description,
    signature: models.Signature,
    inputs: models.Tensors,
    parameters: Mapping[str, models.Scalar],
) -> dict[str, npt.NDArray[Any]]:
    """Gives all inputs, those that were left out filled in; raises `InvalidInput` naming one that may not be absent.

    Noise is drawn in the order of the signature from `numpy.random.default_rng(seed)`: a caller can draw the same.
    """
    filled: dict[str, npt.NDArray[Any]] = {}
    generator: np.random.Generator | None = None
    rows = next((array.shape[0] for array in inputs.values() if array.ndim), 1)
    for spec in signature.inputs:
        if spec.name in inputs:
            filled[spec.name] = inputs[spec.name]
            continue
        if spec.name not in signature.optional:
            raise errors.InvalidInput(
                f"the input {spec.name!r} is missing; the model takes {signature.expected}"
            )
        shape = tuple(rows if size == -1 else size for size in spec.shape)
        dtype = dtype_of(spec.datatype)
        if description.inputs[spec.name].optional == "zeros":
            filled[spec.name] = np.zeros(shape, dtype)
            continue
        if generator is None:
            generator = np.random.default_rng(_seed(parameters))
        draw: Any = generator.standard_normal
        if description.inputs[spec.name].optional == "uniform":
            draw = generator.random
        filled[spec.name] = draw(shape, dtype=dtype)
    return filled


def dtype_of(datatype: str) -> "np.dtype[Any]":
    """Gives the NumPy dtype of an Open Inference Protocol datatype."""
    return np.dtype(_DTYPES[datatype])


def _seed(parameters: Mapping[str, models.Scalar]) -> int | None:
    seed = parameters.get(SEED)
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise errors.InvalidInput(f"the parameter {SEED!r} must be a whole number from 0 to {MAX_SEED}")
    return seed


def _completed(spec: models.TensorSpec, described: Input) -> models.TensorSpec:
    if described.datatype is not None and described.datatype not in _DTYPES:
        raise _failed(
            f"the input {spec.name!r} has the datatype {described.datatype!r}; there are {', '.join(_DTYPES)}"
        )
    shape = described.shape if described.shape is not None else spec.shape
    if any(size < -1 for size in shape) or math.prod(abs(size) for size in shape) > 2**31:
        raise _failed(f"the input {spec.name!r} can't have the shape {list(shape)}")
    return models.TensorSpec(spec.name, described.datatype or spec.datatype, shape)


def _failed(problem: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.LOAD_FAILED, f"{FILE_NAME} of the artifact: {problem}")
