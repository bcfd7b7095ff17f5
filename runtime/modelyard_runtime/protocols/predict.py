"""`POST /predict`: `{"X": [[…], …]}` → `{"y_pred": […]}`, the form of the usual Flask example; or CSV, NumPy, Arrow.

`http.inference` calls `decode`, and `encode` of what it gives. Pure.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_runtime import errors, schemas
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import answers, exchange, files, matrix, named, rows
from modelyard_runtime.protocols import body as bodies

NAME = "predict"

_FORMS = (exchange.JSON, exchange.CSV, exchange.NPY, exchange.ARROW)
_X = matrix.Field(models.TABLE)
_ANY = msgspec.json.Decoder(schemas.PredictAny)
_OUT_OF_RANGE = re.compile(r"(?:Number|Integer value) out of range - at `\$\.X\[(\d+)\](?:\[(\d+)\])?`")
_YES, _NO = ("1", "true"), ("0", "false")


class Call(msgspec.Struct, frozen=True):
    """A decoded request and the form of its answer."""

    request: models.Request
    signature: models.Signature
    form: bytes = exchange.JSON

    def encode(self, outputs: models.Tensors) -> exchange.Response:
        """Gives the response for the model's outputs."""
        found = answers.by_field(outputs, self.signature)
        if self.form != exchange.JSON:
            return files.encode(self.form, found, self.signature)
        fields: dict[str, object] = {name: bodies.jsonable(array) for name, array in found.items()}
        if answers.PROBABILITIES in found and self.signature.classes is not None:
            fields["classes"] = list(self.signature.classes)
        return exchange.Response(bodies.encode(fields))


def decode(message: exchange.Message, signature: models.Signature, model_name: str) -> Call:
    """Gives the call; raises `InvalidInput`, `UnsupportedMedia` or `NotAcceptable`."""
    del model_name
    form = exchange.answer_form(message, _FORMS)
    stated = exchange.content_form(message, _FORMS)
    request = (
        decode_request(message.body, signature)
        if stated == exchange.JSON
        else files.decode(stated, message.body, signature)
    )
    if message.query and _wants_probabilities(message):
        request = msgspec.structs.replace(request, wanted=answers.with_probabilities(signature))
    return Call(request, signature, form)


def decode_request(body: bytes, signature: models.Signature) -> models.Request:
    """Gives what a JSON body asks of the model; raises `InvalidInput`."""
    if signature.inputs:
        return named.decode_object(body, signature)
    table = None if signature.parameters else _X.decode(body, signature)
    if table is not None:
        return models.table_request(table, signature.default_outputs)
    return _decode_any(body, signature)


def _wants_probabilities(message: exchange.Message) -> bool:
    value = message.parameter("proba")
    if value is None or value in _NO:
        return False
    if value in _YES:
        return True
    raise errors.InvalidInput(f"proba is {rows.shown(value)} in the query; it can be 1 or 0")


def _decode_any(body: bytes, signature: models.Signature) -> models.Request:
    try:
        found = bodies.decode(_ANY, body)
    except msgspec.ValidationError as error:
        problem = str(error)
        if "missing required field" in problem or problem.startswith("Expected `object`"):
            raise errors.InvalidInput(
                f'the body needs the field "X"; send {{"X": {rows.example(signature)}}}'
            ) from None
        raise errors.InvalidInput(_locate(problem, signature) or bodies.as_sentence(error)) from None
    parameters: Mapping[str, models.Scalar] = models.NO_PARAMETERS
    if signature.parameters:
        parameters = named.read_parameters(found.parameters, signature)
    table = build_table(found.X, signature)
    return models.Request({models.TABLE: table}, table.shape[0], signature.default_outputs, parameters)


def build_table(value: Any, signature: models.Signature, field: str = models.TABLE) -> models.Table:
    """Gives the table for rows, or for columns by feature name; raises `InvalidInput`."""
    if isinstance(value, dict) and signature.is_named and value:
        return rows.build_from_columns(value, signature, field)
    return rows.build_table(value, signature, field)


def _locate(problem: str, signature: models.Signature) -> str | None:
    """Gives the decoder's "out of range" with row and feature, or None when it is about something else."""
    match = _OUT_OF_RANGE.fullmatch(problem)
    if match is None:
        return None
    return (
        f"{rows.place(int(match[1]), int(match[2] or 0), signature)} is a number too large for a 64-bit float"
    )
