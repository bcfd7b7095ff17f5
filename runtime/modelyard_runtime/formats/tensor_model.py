"""What models of named tensors have in common, whatever library computes them.

`onnx`, `torch` and `keras` derive from `TensorModel`: they say what the inputs and outputs are and how to compute, and
get the checks of types and shapes, the inputs that are filled in, the errors in words, and the proof that requests may
share a call. It must never trust a shape that a caller states.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import interface, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
# Rows of the proof, and how far apart two ways of adding up 32-bit floats may be.
_PROOF_ROWS = 3
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5
# What is made up: a size that may vary (large enough for a small convolution), and texts.
_FREE_SIZE = 3
_TEXTS = ("", "a", "b")


class TensorModel:
    """A model of named tensors; derive, set `format` and `engine`, and implement `_compute`."""

    format = ""
    engine = ""

    def __init__(
        self, signature: models.Signature, description: interface.Description, versions: Mapping[str, str]
    ) -> None:
        self.signature = interface.apply(description, signature)
        self.versions = versions
        self.warnings: tuple[str, ...] = ()
        self._description = description

    def _compute(self, inputs: models.Tensors) -> Mapping[str, npt.NDArray[Any]]:
        """Gives every output for inputs of the right types and shapes; may raise anything."""
        raise NotImplementedError

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives the wanted outputs; raises `InvalidInput` or `ModelFailed`."""
        known = {spec.name: spec for spec in self.signature.inputs}
        for name in inputs:
            if name not in known:
                raise errors.InvalidInput(
                    f"the model has no input {name[:80]!r}; it takes {self.signature.expected}"
                )
        given = {name: _fitted(known[name], array) for name, array in inputs.items()}
        filled = interface.fill(self._description, self.signature, given, parameters)
        try:
            outputs = self._compute(filled)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            # What the checks can't see: an index beyond an embedding, two sizes that have to agree.
            _log.debug("predict raised", exc_info=True)
            raise wording.invalid_input(error) from error
        except Exception as error:
            # A model is foreign code: whatever it raises, the request fails and the server lives.
            _log.debug("predict raised", exc_info=True)
            raise wording.model_failed(error) from error
        return {name: outputs[name] for name in wanted}

    def prove_row_wise(self) -> None:
        """Predicts made-up rows together and one by one; unless both agree, requests never share a call."""
        is_proven = self.signature.is_row_wise and _agrees(self)
        self.signature = msgspec.structs.replace(self.signature, is_row_wise=is_proven)


def description_beside(file: Path) -> interface.Description:
    """Gives what the `signature.json` in the folder of a model file says, if there is one."""
    path = file.parent / interface.FILE_NAME
    return interface.parse(path.read_bytes()) if path.is_file() else interface.EMPTY


def made_up(signature: models.Signature, rows: int) -> dict[str, npt.NDArray[Any]] | None:
    """Gives inputs of random values, the same each time; None when the artifact says nothing about an input's shape.

    The first size is `rows` where it may vary; every other that may is the same small number.
    """
    generator = np.random.default_rng(0)
    inputs: dict[str, npt.NDArray[Any]] = {}
    for spec in signature.inputs:
        if not spec.shape:
            return None
        dtype = interface.dtype_of(spec.datatype)
        first = rows if spec.shape[0] == -1 else spec.shape[0]
        shape = (first, *(_FREE_SIZE if size == -1 else size for size in spec.shape[1:]))
        if dtype.kind == "O":
            inputs[spec.name] = generator.choice(_TEXTS, shape).astype(dtype)
            continue
        # Whole numbers may be indices into a vocabulary of unknown size: the two smallest are in every one.
        values = generator.standard_normal(shape) if dtype.kind == "f" else generator.integers(0, 2, shape)
        inputs[spec.name] = values.astype(dtype)
    return inputs


def _agrees(model: TensorModel) -> bool:
    inputs = made_up(model.signature, _PROOF_ROWS)
    if inputs is None or any(spec.shape[0] != -1 for spec in model.signature.inputs):
        return False
    names = model.signature.default_outputs
    try:
        together = model.predict(inputs, names, models.NO_PARAMETERS)
        alone = [
            model.predict(
                {name: array[row : row + 1] for name, array in inputs.items()}, names, models.NO_PARAMETERS
            )
            for row in range(_PROOF_ROWS)
        ]
    except errors.RequestError as error:
        _log.info("requests don't share calls", extra={"fields": {"problem": error.message}})
        return False
    return all(
        together[name].shape[:1] == (_PROOF_ROWS,)
        and all(one[name].shape == (1, *together[name].shape[1:]) for one in alone)
        and _is_same(together[name], np.concatenate([one[name] for one in alone]))
        for name in names
    )


def _is_same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)


def _fitted(spec: models.TensorSpec, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Gives an input in the type the model takes; raises `InvalidInput`."""
    dtype = interface.dtype_of(spec.datatype)
    if spec.shape:
        fits = array.ndim == len(spec.shape) and all(
            size in (-1, given) for size, given in zip(spec.shape, array.shape, strict=True)
        )
        if not fits:
            raise errors.InvalidInput(
                f"the input {spec.name!r} has the shape {list(array.shape)}, and the model takes {list(spec.shape)}"
            )
        # Numbers may be sent in a wider type, and whole ones where fractions are taken, but nothing is cut off.
        is_possible = array.dtype.kind in {"f": "fiu", "i": "iu", "u": "iu"}.get(dtype.kind, dtype.kind)
        if not is_possible:
            raise errors.InvalidInput(
                f"the input {spec.name!r} is {models.datatype_of(array.dtype)}, and the model takes {spec.datatype}"
            )
    elif array.dtype.kind != "f":
        return array  # The artifact says nothing about this input: whole numbers stay what they are.
    if dtype.kind in "iu" and array.size and not np.array_equal(array, array.astype(dtype)):
        raise errors.InvalidInput(f"the input {spec.name!r} holds a number that does not fit {spec.datatype}")
    return np.ascontiguousarray(array, dtype=dtype)
