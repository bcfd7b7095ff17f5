"""Requests that can share one call of the model: which they are, and how their answers come apart again.

`dispatching` asks `key` of every request and lets `answer` predict for those with equal keys. Pure apart from the
model's own predict. Nothing that a caller sends may change, delay or fail the answer of his neighbour.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models

Outcome = models.Tensors | Exception


def key(request: models.Request) -> Hashable:
    """Gives what requests must have in common: outputs, parameters, and each input's name, type and row shape."""
    inputs = request.inputs
    if len(inputs) == 1:
        [(name, array)] = inputs.items()
        described: Hashable = (name, array.dtype, array.shape[1:])
    else:
        described = tuple(sorted((name, array.dtype.str, array.shape[1:]) for name, array in inputs.items()))
    if not request.parameters:
        return (request.wanted, described)
    # With their types: 1, 1.0 and True are equal, and need not mean the same.
    parameters = frozenset((name, type(value), value) for name, value in request.parameters.items())
    return (request.wanted, described, parameters)


def answer(model: models.Model, requests: Sequence[models.Request]) -> list[Outcome]:
    """Gives each request's outputs, or what the model raised for it; all requests have the same key.

    When a call for many fails, each half is asked again: a bad row fails its own request and no other, at the price of
    a few calls.
    """
    first = requests[0]
    try:
        if len(requests) == 1:
            return [model.predict(first.inputs, first.wanted, first.parameters)]
        return list(split(model.predict(join(requests), first.wanted, first.parameters), requests))
    except Exception as error:
        # Foreign code may raise anything; it is handed to the one request that it belongs to.
        if len(requests) == 1:
            return [_portable(error)]
    middle = len(requests) // 2
    return answer(model, requests[:middle]) + answer(model, requests[middle:])


def join(requests: Sequence[models.Request]) -> models.Tensors:
    """Gives the requests' rows one after the other, each input as one array."""
    return {name: np.concatenate([one.inputs[name] for one in requests]) for name in requests[0].inputs}


def split(outputs: models.Tensors, requests: Sequence[models.Request]) -> list[models.Tensors]:
    """Gives each request its rows of the outputs, as views; raises `ValueError` when rows don't match."""
    rows = sum(request.rows for request in requests)
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            raise ValueError(f"the output {name!r} has the shape {array.shape} for {rows} rows")
    parts: list[models.Tensors] = []
    start = 0
    for request in requests:
        end = start + request.rows
        parts.append({name: array[start:end] for name, array in outputs.items()})
        start = end
    return parts


def _portable(error: Exception) -> Exception:
    # A future refuses to carry StopIteration.
    return errors.ModelFailed("the model failed to predict") if isinstance(error, StopIteration) else error
