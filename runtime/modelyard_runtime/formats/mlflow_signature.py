"""The signature in an MLmodel file: columns or tensors by name and type, and the parameters of a python_function.

Called by `mlflow`. Pure. MLflow writes each part as a JSON text within the YAML.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models

_TEXT_TYPES = ("string", "binary", "datetime")
_NUMBER_TYPES = ("boolean", "integer", "long", "float", "double")


class TensorType(msgspec.Struct, frozen=True):
    """Type and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]


class Entry(msgspec.Struct, frozen=True, rename="kebab"):
    """One column, tensor or parameter."""

    type: Any = None
    name: str | None = None
    required: bool = True
    default: Any = None
    tensor_spec: TensorType | None = None


class Schema(msgspec.Struct, frozen=True):
    """What MLmodel says of a model's inputs, outputs and parameters; empty where it says nothing."""

    inputs: tuple[Entry, ...] = ()
    outputs: tuple[Entry, ...] = ()
    params: tuple[Entry, ...] = ()

    @property
    def tensors(self) -> tuple[models.TensorSpec, ...]:
        """The inputs as named tensors, empty for columns."""
        return tuple(
            models.TensorSpec(
                entry.name or models.TABLE,
                models.datatype_of(np.dtype(entry.tensor_spec.dtype)),
                entry.tensor_spec.shape,
            )
            for entry in self.inputs
            if entry.tensor_spec is not None
        )

    @property
    def features(self) -> tuple[models.Feature, ...] | None:
        """The inputs as columns, None for tensors and where nothing is said."""
        if not self.inputs or any(entry.tensor_spec is not None for entry in self.inputs):
            return None
        return tuple(
            models.Feature(entry.name or f"x{index}", _kind(entry.type))
            for index, entry in enumerate(self.inputs)
        )


def parse(signature: Any) -> Schema:
    """Gives the signature in an MLmodel file, or an empty one; raises `StartFailure` (LoadFailed)."""
    if not isinstance(signature, Mapping):
        return Schema()
    try:
        parts = {
            part: msgspec.json.decode(text, type=tuple[Entry, ...])
            for part in ("inputs", "outputs", "params")
            if (text := signature.get(part))
        }
        schema = Schema(**parts)
        schema.tensors  # noqa: B018 - an unknown dtype is told here, with everything else
    except (msgspec.DecodeError, TypeError) as error:
        raise errors.StartFailure(
            errors.Reason.LOAD_FAILED, f"the MLflow model: the signature in MLmodel can't be read: {error}"
        ) from error
    return schema


def complete(signature: models.Signature, schema: Schema) -> models.Signature:
    """Gives the signature of a loaded model with the column names that MLmodel adds to it.

    What the library itself records is kept: names of MLflow are for models that were fitted on arrays.
    """
    features = schema.features
    if features is None or signature.is_named or signature.inputs or signature.takes_documents:
        return signature
    if signature.features is not None and len(signature.features) != len(features):
        return signature
    if any(entry.name is None for entry in schema.inputs):
        return signature
    return msgspec.structs.replace(signature, features=features, is_named=True)


def _kind(type_name: Any) -> models.Kind:
    if type_name in _NUMBER_TYPES:
        return models.Kind.NUMBER
    return models.Kind.TEXT if type_name in _TEXT_TYPES else models.Kind.ANY
