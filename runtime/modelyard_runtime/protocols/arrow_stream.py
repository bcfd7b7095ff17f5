"""Arrow's IPC streams: a column per feature, or per input of a model of tensors, found by name.

Called by `protocols.files`. Pure. What lies in the bytes is `arrow.reader`'s business; here is what the model gets.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import answers, csv_file, named, rows
from modelyard_runtime.protocols.arrow import reader, writer

_FIELD = "the Arrow stream"


def read(body: bytes, signature: models.Signature) -> models.Request:
    """Gives what a stream asks of the model; raises `InvalidInput`."""
    columns = reader.read(body, None if signature.features is None else len(signature.features))
    names = [name for name, _ in columns]
    if signature.inputs:
        if len(set(names)) != len(names):
            raise errors.InvalidInput(f"{_FIELD} has two columns of the same name")
        return named.request_for(dict(columns), signature)
    order = rows.column_order(names, signature, _FIELD)
    chosen = [columns[index][1] for index in order]
    for name, values in columns:
        if values.ndim != 1:
            raise errors.InvalidInput(
                f"the column {rows.shown(name)} of {_FIELD} holds lists; send one column for each feature"
            )
    table = _numbers(chosen, signature) if signature.is_numeric else _mixed(chosen, signature)
    return models.table_request(table, signature.default_outputs)


def write(found: Mapping[str, npt.NDArray[Any]], signature: models.Signature) -> bytes:
    """Gives the outputs as columns; probabilities have one for each class, as in CSV. Raises `NotAcceptable`."""
    columns: dict[str, npt.NDArray[Any]] = {}
    count = max((len(array) for array in found.values() if array.ndim), default=1)
    for name, array in found.items():
        if array.shape[:1] != (count,) or 0 in array.shape[1:]:
            raise errors.NotAcceptable(f"the output {name!r} is no table of rows; accept JSON")
        columns |= (
            dict(csv_file.columns_of(name, array, signature))
            if name == answers.PROBABILITIES
            else {name: array}
        )
    return writer.write(columns)


def _numbers(columns: list[npt.NDArray[Any]], signature: models.Signature) -> models.Table:
    table = np.empty((len(columns[0]), len(columns)))
    for index, values in enumerate(columns):
        table[:, index] = _as_numbers(values, index, signature)
    rows.check_finite(table, signature, _FIELD)
    return table


def _as_numbers(values: npt.NDArray[Any], index: int, signature: models.Signature) -> npt.NDArray[Any]:
    """Gives a column as numbers: truths count as 0 and 1, as in NumPy's files."""
    if values.dtype.kind != "O":
        return values
    for row, value in enumerate(values):
        if isinstance(value, str):
            where = rows.place(row, index, signature, _FIELD)
            raise errors.InvalidInput(
                f"{where} is text {rows.shown(value)}, but the model takes a number there"
            )
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _mixed(columns: list[npt.NDArray[Any]], signature: models.Signature) -> models.Table:
    """Gives a table with text in it, by way of plain values and the words for them."""
    features = signature.features or ()
    listed = []
    for index, values in enumerate(columns):
        kind = features[index].kind if index < len(features) else models.Kind.ANY
        column = _as_numbers(values, index, signature) if kind is models.Kind.NUMBER else values
        if column.dtype.kind == "b" and kind is models.Kind.NUMBER:
            column = column.astype(np.float64)
        if column.dtype.kind == "f":
            infinite = np.isinf(column)
            if infinite.any():
                row = int(infinite.argmax())
                raise errors.InvalidInput(f"{rows.place(row, index, signature, _FIELD)} is infinite")
            # A number that is missing, in whichever way it was written.
            missing = np.isnan(column)
            column = column.astype(object)
            column[missing] = None
        listed.append(column.tolist())
    return rows.build_table([list(row) for row in zip(*listed, strict=True)], signature, _FIELD)
