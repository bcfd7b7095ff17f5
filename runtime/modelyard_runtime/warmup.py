"""The first predictions of a loaded model, on made-up inputs: they pay for lazy imports, measure, and try things out.

Called by `loading` before the model is ready. What they show completes the signature: types and shapes of the outputs,
and whether rows may share a call. A model that refuses made-up inputs has its reasons: it must never fail for that. One
that gets no memory for a single row has not.
"""

import logging
import time

import msgspec
import numpy as np

from modelyard_runtime import errors, memory, scheduling
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import tensor_model

_log = logging.getLogger(__name__)
_MANY_ROWS = 64
_REPEATS = 5  # the first calls import and allocate; the fastest is what the model costs
_SLOW_SECONDS = 0.1  # a model as slow as this is asked once
_PROOF_ROWS = 4
# How far apart two ways of adding up the same numbers may be, by bytes of a float.
_TOLERANCE = {2: 1e-2, 4: 1e-5, 8: 1e-9}


def warm_up(model: models.Model) -> scheduling.Cost:
    """Predicts on made-up inputs, completes the model's signature, and gives what a prediction costs.

    Raises `MemoryError` when there is none for a few rows.
    """
    few = made_up(model.signature, 1)
    if few is None:
        _log.info("warm-up skipped: the artifact does not say what the model takes")
        return scheduling.UNKNOWN
    try:
        outputs, seconds_few = _fastest(model, few)
    except errors.RequestError as error:
        _log.info(
            "warm-up skipped: the model refuses made-up inputs", extra={"fields": {"problem": error.message}}
        )
        return scheduling.UNKNOWN
    seen = {**outputs, **_on_request(model, few)}
    model.signature = msgspec.structs.replace(
        model.signature,
        outputs=tuple(
            _completed(one, seen[one.name], model.signature.takes_table)
            for one in model.signature.outputs
            if one.name in seen
        ),
        on_request=model.signature.on_request & set(seen),
    )
    # Models of tensors prove it while they load.
    if model.signature.is_numeric:
        model.signature = msgspec.structs.replace(model.signature, is_row_wise=_is_row_wise(model))
    # A model of a fixed number of rows gets the same again, and costs nothing more per row.
    many = made_up(model.signature, _MANY_ROWS)
    try:
        _, seconds_many = _fastest(model, few if many is None else many)
    except errors.RequestError as error:
        _log.info("warm-up cut short", extra={"fields": {"problem": error.message}})
        seconds_many = seconds_few
    return scheduling.measured(1, seconds_few, _MANY_ROWS, seconds_many)


def made_up(signature: models.Signature, rows: int) -> models.Tensors | None:
    """Gives inputs of zeros and empty texts, `rows` of them where that may vary; None when nothing is known."""
    if not signature.takes_table:
        inputs = tensor_model.made_up(signature, rows)
        return None if inputs is None else {name: _zeros(array) for name, array in inputs.items()}
    if signature.features is None:
        return None
    if signature.takes_documents:
        return {models.TABLE: np.full(rows, "", dtype=np.object_)}
    row = ["" if feature.kind is models.Kind.TEXT else 0.0 for feature in signature.features]
    return {models.TABLE: np.array([row] * rows, dtype=np.float64 if signature.is_numeric else np.object_)}


def _zeros(array: models.Table) -> models.Table:
    return np.full(array.shape, "", dtype=np.object_) if array.dtype.kind == "O" else np.zeros_like(array)


def _on_request(model: models.Model, inputs: models.Tensors) -> models.Tensors:
    """Gives the outputs that are given on request; one that a model only claims to have is not among them."""
    seen: dict[str, models.Table] = {}
    for name in sorted(model.signature.on_request):
        try:
            seen |= _predict(model, inputs, frozenset({name}))
        except errors.RequestError as error:
            _log.warning("output left out", extra={"fields": {"output": name, "problem": error.message}})
    return seen


def _completed(spec: models.TensorSpec, array: models.Table, takes_table: bool) -> models.TensorSpec:
    """Gives an output's type and shape as they were seen; what the artifact says about sizes that vary stays."""
    shape = spec.shape
    if takes_table or len(shape) != array.ndim:
        shape = (-1, *array.shape[1:]) if array.ndim else ()
    return models.TensorSpec(spec.name, models.datatype_of(array.dtype), shape)


def _is_row_wise(model: models.Model) -> bool:
    """Says whether made-up rows are answered alike together and one by one; where they are refused, what was known."""
    width = len(model.signature.features or ())
    table = np.random.default_rng(0).normal(size=(_PROOF_ROWS, width))
    names = model.signature.default_outputs
    try:
        together = _predict(model, {models.TABLE: table}, names)
        alone = [_predict(model, {models.TABLE: table[row : row + 1]}, names) for row in range(_PROOF_ROWS)]
    except errors.RequestError:
        return model.signature.is_row_wise
    return all(
        len(together[name]) == _PROOF_ROWS
        and all(len(one[name]) == 1 for one in alone)
        and _is_same(together[name], np.concatenate([one[name] for one in alone]))
        for name in names
    )


def _is_same(one: models.Table, other: models.Table) -> bool:
    if one.shape != other.shape or one.dtype.kind != "f":
        return np.array_equal(one, other)
    tolerance = _TOLERANCE.get(one.dtype.itemsize, 1e-9)
    return np.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def _fastest(model: models.Model, inputs: models.Tensors) -> tuple[models.Tensors, float]:
    """Gives the outputs and the least seconds of a few calls; a slow model is asked once."""
    best_seconds = float("inf")
    for _ in range(_REPEATS):
        started = time.perf_counter()
        outputs = _predict(model, inputs, model.signature.default_outputs)
        best_seconds = min(best_seconds, time.perf_counter() - started)
        if best_seconds > _SLOW_SECONDS:
            break
    return outputs, best_seconds


def _predict(model: models.Model, inputs: models.Tensors, wanted: frozenset[str]) -> models.Tensors:
    try:
        return model.predict(inputs, wanted, models.NO_PARAMETERS)
    except errors.RequestError as error:
        if memory.is_exhaustion(error):
            raise MemoryError(error.message) from error
        raise
