"""`POST /predict`: `{"X": [[…], …]}` → `{"y_pred": […]}`, the form of the usual Flask example.

`http.inference` calls `decode_request` and `encode_response`. Pure.
"""

import re

import msgspec
import numpy as np

from modelyard_runtime import errors, schemas
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import rows

NAME = "predict"

_ROWS = msgspec.json.Decoder(schemas.PredictRows)
_COLUMN = msgspec.json.Decoder(schemas.PredictColumn)
_ANY = msgspec.json.Decoder(schemas.PredictAny)
_OUT_OF_RANGE = re.compile(r"(?:Number|Integer value) out of range - at `\$\.X\[(\d+)\](?:\[(\d+)\])?`")


def decode_request(body: bytes, signature: models.Signature) -> models.Request:
    """Gives the request for the model; raises `InvalidInput`."""
    return models.table_request(_decode_table(body, signature), signature.default_outputs)


def encode_response(outputs: models.Tensors) -> bytes:
    """Gives the response body."""
    return bodies.encode({"y_pred": bodies.jsonable(outputs[models.PREDICTION])})


def _decode_table(body: bytes, signature: models.Signature) -> models.Table:
    if signature.is_numeric:
        try:
            if signature.features is not None and len(signature.features) == 1:
                return _decode_column(body, signature)
            return _decode_rows(body, signature)
        except msgspec.ValidationError:
            # Another form than the usual one, or a mistake: the careful way finds out which.
            pass
    return _decode_any(body, signature)


def _decode_rows(body: bytes, signature: models.Signature) -> models.Table:
    values = bodies.decode(_ROWS, body).X
    if values:
        rows.check_width(len(values[0]), signature)
        try:
            return np.array(values, dtype=np.float64)
        except ValueError:
            pass  # Ragged: the careful way names the row.
    return rows.build_table(values, signature)


def _decode_column(body: bytes, signature: models.Signature) -> models.Table:
    try:
        values = bodies.decode(_COLUMN, body).X
    except msgspec.ValidationError:
        return _decode_rows(body, signature)
    if not values:
        return rows.build_table(values, signature)
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def _decode_any(body: bytes, signature: models.Signature) -> models.Table:
    try:
        value = bodies.decode(_ANY, body).X
    except msgspec.ValidationError as error:
        problem = str(error)
        if "missing required field" in problem or problem.startswith("Expected `object`"):
            raise errors.InvalidInput(
                f'the body needs the field "X"; send {{"X": {rows.example(signature)}}}'
            ) from None
        raise errors.InvalidInput(_locate(problem, signature) or bodies.as_sentence(error)) from None
    return rows.build_table(value, signature)


def _locate(problem: str, signature: models.Signature) -> str | None:
    """Gives the decoder's "out of range" with row and feature, or None when it is about something else."""
    match = _OUT_OF_RANGE.fullmatch(problem)
    if match is None:
        return None
    return (
        f"{rows.place(int(match[1]), int(match[2] or 0), signature)} is a number too large for a 64-bit float"
    )
