"""MLflow's scoring protocol, `POST /invocations`: a DataFrame in one of its JSON forms or CSV, or tensors.

`http.inference` calls `decode`, and `encode` of what it gives. Pure.
"""

from typing import Any

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import csv_file, exchange, named, rows, v1

NAME = "mlflow"
PATH = "/invocations"

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_FIELDS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def decode(message: exchange.Message, signature: models.Signature, model_name: str) -> v1.Call:
    """Gives the call; raises `InvalidInput` or `UnsupportedMedia`."""
    del model_name
    if exchange.content_form(message, (exchange.JSON, exchange.CSV)) == exchange.CSV:
        if signature.inputs:
            raise errors.InvalidInput(f"the model takes tensors, not CSV: {signature.expected}")
        table = csv_file.read(message.body, signature, has_header=True)
        return v1.Call(models.table_request(table, signature.default_outputs), signature)
    try:
        fields = bodies.decode(_OBJECT, message.body)
    except msgspec.ValidationError as error:
        raise errors.InvalidInput(bodies.as_sentence(error)) from None
    return decode_fields(fields, signature)


def decode_fields(fields: dict[str, Any], signature: models.Signature) -> v1.Call:
    """Gives the call for a decoded body; raises `InvalidInput`."""
    given = [name for name in _FIELDS if name in fields]
    if len(given) != 1:
        raise errors.InvalidInput(
            f"the body needs exactly one of the fields {', '.join(_FIELDS)}; it has {', '.join(given) or 'none'}"
        )
    parameters = fields.get("params")
    if given[0] in ("instances", "inputs"):
        return v1.decode_fields(fields, signature, parameters)
    columns, listed = (
        _split(fields[given[0]]) if given[0] == "dataframe_split" else _records(fields[given[0]])
    )
    heeded = named.read_parameters(parameters, signature, ignores_unknown=not signature.parameters)
    if signature.inputs:
        values = {name: [row[index] for row in listed] for index, name in enumerate(columns)}
        return v1.Call(named.build_request(values, signature, heeded), signature)
    order = rows.column_order(columns, signature, given[0])
    table = rows.build_table([[row[index] for index in order] for row in listed], signature, given[0])
    return v1.Call(
        models.Request({models.TABLE: table}, table.shape[0], signature.default_outputs, heeded), signature
    )


def _split(value: Any) -> tuple[list[str], list[list[Any]]]:
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, list) or not data or not all(isinstance(row, list) for row in data):
        raise errors.InvalidInput(
            'dataframe_split needs {"columns": [names], "data": [rows]}, with at least one row'
        )
    columns = value.get("columns", list(range(len(data[0]))))
    if not isinstance(columns, list) or not all(isinstance(name, str | int) for name in columns):
        raise errors.InvalidInput("dataframe_split.columns is not a list of names")
    for index, row in enumerate(data):
        if len(row) != len(columns):
            raise errors.InvalidInput(
                f"row {index} of dataframe_split has {len(row)} values, but there are {len(columns)} columns"
            )
    return [str(name) for name in columns], data


def _records(value: Any) -> tuple[list[str], list[list[Any]]]:
    if not isinstance(value, list) or not value or not all(isinstance(row, dict) for row in value):
        raise errors.InvalidInput("dataframe_records is not a list of objects, one for each row")
    columns = list(value[0])
    for index, row in enumerate(value):
        if row.keys() != value[0].keys():
            raise errors.InvalidInput(f"row {index} of dataframe_records has other columns than row 0")
    return columns, [[row[name] for name in columns] for row in value]
