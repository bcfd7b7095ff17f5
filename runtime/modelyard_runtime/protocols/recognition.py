"""A request in whichever protocol's form it was written: for samples, which people copy from anywhere.

Called by `samples`. Pure.
"""

from typing import Any

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import mlflow, named, predict, v1, v2

_ANY = msgspec.json.Decoder(Any)
_MLFLOW = ("dataframe_split", "dataframe_records")


def decode(body: bytes, signature: models.Signature) -> models.Request:
    """Gives what a JSON body of any protocol asks of the model; raises `InvalidInput`.

    `{"X": …}`, V2's `{"inputs": [{"name", …}]}`, V1's `{"instances": …}` and `{"inputs": …}`, MLflow's DataFrames, an
    object of a tensor model's inputs by name; and anything else is the value of `X`.
    """
    try:
        value = bodies.decode(_ANY, body)
    except msgspec.ValidationError as error:
        raise errors.InvalidInput(bodies.as_sentence(error)) from None
    if isinstance(value, dict):
        own_names = {spec.name for spec in signature.inputs} & value.keys()
        if models.TABLE in value or (own_names and own_names != {"inputs"}):
            return predict.decode_request(body, signature)
        if _is_v2(value):
            return v2.decode_request(body, signature).request
        if any(field in value for field in _MLFLOW):
            return mlflow.decode_fields(value, signature).request
        if "instances" in value or "inputs" in value:
            parameters = value.get("parameters", value.get("params"))
            return v1.decode_fields(value, signature, parameters).request
    if signature.inputs:
        # In words that name the inputs, when it is an object that has none of them.
        values = value if isinstance(value, dict) else {models.TABLE: value}
        return named.build_request(values, signature, models.NO_PARAMETERS)
    return models.table_request(predict.build_table(value, signature), signature.default_outputs)


def _is_v2(value: dict[str, Any]) -> bool:
    inputs = value.get("inputs")
    return (
        isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict) and "datatype" in inputs[0]
    )
