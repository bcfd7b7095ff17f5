"""Keras 3 models (.keras), computed by JAX.

`adapters` imports this module on demand, in images that have Keras. Models load in Keras' safe mode: a file with Python
code in it (a Lambda layer) is refused. JAX compiles a program for each number of rows it meets, so rows of models whose
rows are independent are filled up to a power of two: a handful of programs instead of one for every size of a batch.
"""

import json
import logging
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# Keras chooses its engine once, at import. JAX is the lightest that has every layer.
os.environ.setdefault("KERAS_BACKEND", "jax")  # noqa: TID251
# No accelerator is looked for: looking takes a second and may take hold of one.
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # noqa: TID251

import jax
import keras

from modelyard_runtime import errors
from modelyard_runtime.formats import detection, interface, tensor_model, versions, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
# Powers of two up to what requests share a call by default (settings.DEFAULT_BATCH_MAX_SIZE).
_COMPILED_ROWS = (1, 2, 4, 8, 16, 32, 64)
_DATATYPES: Mapping[str, str] = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip


class KerasModel(tensor_model.TensorModel):
    """A Keras model, compiled by JAX."""

    format = "keras"
    engine = "Keras on JAX"

    def __init__(self, model: Any, signature: models.Signature, description: interface.Description) -> None:
        versions = {"keras": keras.__version__, "jax": jax.__version__, "numpy": np.__version__}
        super().__init__(signature, description, versions)
        self._names = [spec.name for spec in signature.inputs]
        self._structure = jax.tree_util.tree_structure(_graph(model)._inputs_struct)
        self._weights = (
            [variable.value for variable in model.trainable_variables],
            [variable.value for variable in model.non_trainable_variables],
        )
        # training=False: dropout lets everything through, and nothing is learned from requests.
        self._program = jax.jit(
            lambda weights, inputs: jax.tree_util.tree_leaves(
                model.stateless_call(*weights, inputs, training=False)[0]
            )
        )

    def compile_ahead(self) -> None:
        """Compiles the programs for every number of rows that a shared call may have: no caller waits for one."""
        if not self.signature.is_row_wise:
            return
        for rows in _COMPILED_ROWS:
            inputs = tensor_model.made_up(self.signature, rows)
            if inputs is not None:
                self._compute(inputs)

    def _compute(self, inputs: models.Tensors) -> Mapping[str, npt.NDArray[Any]]:
        arrays = [inputs[name] for name in self._names]
        rows = arrays[0].shape[0] if arrays[0].ndim else 0
        if self.signature.is_row_wise:
            arrays = [_filled_up(array) for array in arrays]
        structured = jax.tree_util.tree_unflatten(self._structure, arrays)
        values = self._program(self._weights, structured)
        outputs = {
            spec.name: np.asarray(value) for spec, value in zip(self.signature.outputs, values, strict=True)
        }
        if self.signature.is_row_wise:
            return {name: array[:rows] for name, array in outputs.items()}
        return outputs


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> KerasModel:
    """Loads the model in a file or folder; raises `StartFailure` (LoadFailed)."""
    # XLA counts its threads by a variable: see `cpu`.
    file = detection.find_model_file(path)
    if not zipfile.is_zipfile(file) or file.suffix != ".keras":
        # Keras has other loaders for other files and endings, and its safe mode is that of this one.
        raise wording.unreadable(file, "keras", ValueError("not a .keras file"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:
        # Keras reads what the file says: whatever it raises is about this file.
        _log.debug("load raised", exc_info=True)
        raise _failed(file.name, error) from error
    if not getattr(model, "inputs", None):
        raise wording.load_failed(
            f"the model in {file.name!r} has no fixed inputs; give it an Input, or call it once, and save it again"
        )
    description = tensor_model.description_beside(file)
    loaded = KerasModel(model, _signature(model, description), description)
    loaded.warnings = versions.notes("Keras", _written_by(file), keras.__version__, options)
    loaded.prove_row_wise()
    loaded.compile_ahead()
    return loaded


def _written_by(file: Path) -> list[str]:
    """Gives the version of Keras that a file says it was written by, if it does."""
    with zipfile.ZipFile(file) as archive:
        written = json.loads(archive.read("metadata.json")).get("keras_version")
    return [written] if isinstance(written, str) else []


def _graph(model: Any) -> Any:
    """Gives what knows the names and nesting of inputs and outputs: for a Sequential that is a model within it."""
    return getattr(model, "_functional", None) or model


def _signature(model: Any, description: interface.Description) -> models.Signature:
    # Keras 3 names the inputs itself; JAX sees a dictionary's entries in the order of their sorted keys.
    inputs = jax.tree_util.tree_leaves(_graph(model)._inputs_struct)
    paths = jax.tree_util.tree_leaves_with_path(_graph(model)._outputs_struct)
    names = description.outputs or [
        _output_name(path, index, len(paths)) for index, (path, _) in enumerate(paths)
    ]
    return models.Signature(
        inputs=tuple(models.TensorSpec(one.name, _datatype(one), _shape(one)) for one in inputs),
        outputs=tuple(
            models.TensorSpec(name, _datatype(one), _shape(one))
            for name, (_, one) in zip(names, paths, strict=False)
        ),
    )


def _output_name(path: Any, index: int, count: int) -> str:
    """Gives the key of a dictionary, `predict` for a single tensor, else a number."""
    if len(path) == 1 and hasattr(path[0], "key"):
        return str(path[0].key)
    return models.PREDICTION if count == 1 else f"output_{index}"


def _filled_up(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Gives an array with zeros appended until its rows are a power of two."""
    missing = (1 << max(array.shape[0] - 1, 0).bit_length()) - array.shape[0]
    if not missing:
        return array
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])


def _datatype(tensor: Any) -> str:
    return _DATATYPES.get(tensor.dtype, "BYTES")


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(-1 if size is None else int(size) for size in tensor.shape)


def _failed(name: str, error: Exception) -> errors.StartFailure:
    text = str(error).strip()
    if "safe_mode" in text or "lambda" in text.lower():
        problem = (
            "holds Python code (a Lambda layer), which this runtime never runs; use a layer of Keras' own"
        )
    else:
        problem = (
            f"can't be loaded by Keras {keras.__version__} ({type(error).__name__}: "
            f"{wording.one_line(error)}); save it again with model.save('model.keras') and this version, "
            "without layers of your own"
        )
    return wording.load_failed(f"the artifact {name!r} {problem}")
