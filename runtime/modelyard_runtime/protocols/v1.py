"""KServe's protocol V1, which TensorFlow Serving had first: `instances` or `inputs` in, `predictions` out.

`http.inference` calls `decode`, and `encode` of what it gives. Pure.
"""

from typing import Any

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import answers, exchange, matrix, named, predict, rows
from modelyard_runtime.protocols import body as bodies

NAME = "v1"

_INSTANCES = matrix.Field("instances")
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Call(msgspec.Struct, frozen=True):
    """A decoded request; answered by row when it was asked by row."""

    request: models.Request
    signature: models.Signature
    by_row: bool = True

    def encode(self, outputs: models.Tensors) -> exchange.Response:
        """Gives the response for the model's outputs."""
        predictions = answers.as_predictions(outputs, self.signature, self.by_row)
        return exchange.Response(bodies.encode({"predictions": predictions}))


def decode(message: exchange.Message, signature: models.Signature, model_name: str) -> Call:
    """Gives the call; raises `InvalidInput` or `UnsupportedMedia`."""
    del model_name
    exchange.content_form(message, (exchange.JSON,))
    if not signature.inputs and not signature.parameters:
        table = _INSTANCES.decode(message.body, signature)
        if table is not None:
            return Call(models.table_request(table, signature.default_outputs), signature)
    try:
        fields = bodies.decode(_OBJECT, message.body)
    except msgspec.ValidationError as error:
        raise errors.InvalidInput(bodies.as_sentence(error)) from None
    return decode_fields(fields, signature, fields.get("parameters"))


def decode_fields(fields: dict[str, Any], signature: models.Signature, parameters: Any) -> Call:
    """Gives the call for `instances` (by row) or `inputs` (whole tensors or columns); raises `InvalidInput`."""
    given = [name for name in ("instances", "inputs") if name in fields]
    if len(given) != 1:
        raise errors.InvalidInput(
            f'the body needs one of the fields "instances" and "inputs"; send {{"instances": {_example(signature)}}}'
        )
    field = given[0]
    value = fields[field]
    heeded = named.read_parameters(parameters, signature, ignores_unknown=not signature.parameters)
    by_row = field == "instances"
    if not signature.inputs:
        table = predict.build_table(value, signature, field)
        request = models.Request({models.TABLE: table}, table.shape[0], signature.default_outputs, heeded)
        return Call(request, signature, by_row)
    tensors = _from_instances(value, signature) if by_row else _from_inputs(value, signature)
    return Call(named.build_request(tensors, signature, heeded), signature, by_row)


def _from_inputs(value: Any, signature: models.Signature) -> dict[str, Any]:
    return value if isinstance(value, dict) else {_only_input(signature, "inputs"): value}


def _from_instances(instances: Any, signature: models.Signature) -> dict[str, Any]:
    """Gives the inputs, each with the instances along its first axis."""
    if not isinstance(instances, list) or not instances:
        raise errors.InvalidInput(f"instances is {_described(instances)}; send a list with one item per row")
    if not isinstance(instances[0], dict):
        return {_only_input(signature, "instances"): instances}
    names = list(instances[0])
    for index, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() != instances[0].keys():
            raise errors.InvalidInput(
                f"instance {index} has other inputs than instance 0 ({', '.join(names)[:200]}); "
                f"the model takes {signature.expected}"
            )
    return {name: [instance[name] for instance in instances] for name in names}


def _only_input(signature: models.Signature, field: str) -> str:
    required = [spec.name for spec in signature.inputs if spec.name not in signature.optional]
    if len(required) != 1:
        raise errors.InvalidInput(f"{field} needs the inputs by name; the model takes {signature.expected}")
    return required[0]


def _described(value: Any) -> str:
    return "empty" if value == [] else rows.kind_of(value)


def _example(signature: models.Signature) -> str:
    if not signature.inputs:
        return rows.example(signature)
    fields = ", ".join(f'"{spec.name}": …' for spec in signature.inputs)
    return f"[{{{fields}}}]"
