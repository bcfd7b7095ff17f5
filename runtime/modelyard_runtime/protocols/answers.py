"""What of a model's outputs a caller of `/predict`, KServe V1 or MLflow gets, and under which names.

Pure. The Open Inference Protocol names outputs itself and does without.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies

PREDICTIONS = "y_pred"
PROBABILITIES = "y_proba"


def with_probabilities(signature: models.Signature) -> frozenset[str]:
    """Gives the outputs for a caller who wants probabilities as well; raises `InvalidInput` if there are none."""
    if all(output.name != models.PROBABILITY for output in signature.outputs):
        names = ", ".join(output.name for output in signature.outputs)
        raise errors.InvalidInput(f"the model gives no probabilities; its outputs are {names}")
    return signature.default_outputs | {models.PROBABILITY}


def in_order(outputs: models.Tensors, signature: models.Signature) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Gives the outputs in the order of the signature."""
    for spec in signature.outputs:
        if spec.name in outputs:
            yield spec.name, outputs[spec.name]


def by_field(outputs: models.Tensors, signature: models.Signature) -> dict[str, npt.NDArray[Any]]:
    """Gives the outputs by their names in an answer: the first is `y_pred`, probabilities are `y_proba`."""
    if len(outputs) == 1:
        return {PREDICTIONS: next(iter(outputs.values()))}
    named: dict[str, npt.NDArray[Any]] = {}
    for name, array in in_order(outputs, signature):
        named[PROBABILITIES if name == models.PROBABILITY else name if named else PREDICTIONS] = array
    return named


def as_predictions(outputs: models.Tensors, signature: models.Signature, by_row: bool) -> object:
    """Gives the value of `predictions`: one output as it is; of several one object a row, or one of whole outputs."""
    found = dict(in_order(outputs, signature))
    if len(found) == 1:
        return bodies.jsonable(next(iter(found.values())))
    lengths = {array.shape[:1] for array in found.values()}
    if not by_row or len(lengths) != 1 or lengths == {()}:
        return {name: bodies.jsonable(array) for name, array in found.items()}
    values = {name: [bodies.jsonable(np.asarray(row)) for row in array] for name, array in found.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
