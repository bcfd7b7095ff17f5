"""Bodies that are files: which reader and writer a content type has.

Called by `protocols.predict` and `protocols.mlflow` for what is not JSON. Pure.
"""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import arrow_stream, csv_file, exchange, named, npy_file, rows

Arrays = Mapping[str, npt.NDArray[Any]]


def decode(form: bytes, body: bytes, signature: models.Signature) -> models.Request:
    """Gives what a body in CSV, NumPy's or Arrow's form asks of the model; raises `InvalidInput`."""
    if form == exchange.NPY:
        array = npy_file.read(body)
        return _tensor_request(array, signature) if signature.inputs else _table_request(array, signature)
    if form == exchange.ARROW:
        return arrow_stream.read(body, signature)
    if signature.inputs:
        raise errors.UnsupportedMedia(
            f"the model takes tensors, which CSV has no form for; send JSON: {signature.expected}"
        )
    table = csv_file.read(body, signature, has_header=signature.is_named)
    return models.table_request(table, signature.default_outputs)


def encode(form: bytes, found: Arrays, signature: models.Signature) -> exchange.Response:
    """Gives an answer in CSV, NumPy's or Arrow's form; raises `NotAcceptable` for outputs that have none."""
    if form == exchange.NPY:
        if len(found) > 1:
            raise errors.NotAcceptable(
                f"a .npy file holds one array, and these are {', '.join(found)}; accept JSON"
            )
        return exchange.Response(npy_file.write(next(iter(found.values()))), exchange.NPY)
    if form == exchange.ARROW:
        return exchange.Response(arrow_stream.write(found, signature), exchange.ARROW)
    return exchange.Response(csv_file.write(found, signature), b"text/csv; charset=utf-8")


def _table_request(array: npt.NDArray[Any], signature: models.Signature) -> models.Request:
    if array.ndim == 1 and not signature.takes_documents:
        array = array.reshape(-1, 1)
    if array.dtype.kind in "US" or signature.takes_documents or not signature.is_numeric:
        table = rows.build_table(array.tolist(), signature)
    else:
        if array.ndim != 2:
            raise errors.InvalidInput(
                f"the array has the shape {list(array.shape)}; the model takes rows of {signature.expected}"
            )
        rows.check_width(array.shape[1], signature)
        if not len(array):
            raise errors.InvalidInput("the array has no rows; send at least one")
        table = array.astype(float, copy=False)
    rows.check_finite(table, signature, models.TABLE)
    return models.table_request(table, signature.default_outputs)


def _tensor_request(array: npt.NDArray[Any], signature: models.Signature) -> models.Request:
    required = [spec.name for spec in signature.inputs if spec.name not in signature.optional]
    if len(required) != 1:
        raise errors.InvalidInput(f"a .npy file holds one array, but the model takes {signature.expected}")
    if array.dtype.kind == "U":
        array = array.astype(object)
    return named.request_of({required[0]: array}, signature, signature.default_outputs)
