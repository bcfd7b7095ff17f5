"""Requests to models of named tensors: which inputs there are, and what else a request can say.

Called by every protocol for a model whose signature has `inputs`. Pure. Types and shapes are for the model itself to
check: it knows what it can convert.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import body as bodies
from modelyard_runtime.protocols import rows, tensors

_PARAMETERS = "parameters"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def decode_object(body: bytes, signature: models.Signature) -> models.Request:
    """Gives the request in an object of inputs by name, with `parameters` beside them; raises `InvalidInput`."""
    try:
        fields = bodies.decode(_OBJECT, body)
    except msgspec.ValidationError:
        raise errors.InvalidInput(
            f"the body is no object; send one with the model's inputs by name: {signature.expected}"
        ) from None
    parameters: Any = None
    if _PARAMETERS in fields and all(spec.name != _PARAMETERS for spec in signature.inputs):
        parameters = msgspec.json.decode(fields.pop(_PARAMETERS))
    return build_request(fields, signature, read_parameters(parameters, signature))


def build_request(
    values: Mapping[str, Any], signature: models.Signature, parameters: Mapping[str, models.Scalar]
) -> models.Request:
    """Gives the request for nested lists by input name, decoded or as raw JSON; raises `InvalidInput`.

    A model of one input takes it as `X`, too.
    """
    given = _renamed(values, signature)
    check_names(given, signature)
    specs = {spec.name: spec for spec in signature.inputs}
    inputs = {
        name: tensors.decode_nested(value, specs[name], signature.allows_missing)
        for name, value in given.items()
    }
    return request_of(inputs, signature, signature.default_outputs, parameters)


def request_for(values: models.Tensors, signature: models.Signature) -> models.Request:
    """Gives the request for arrays under the names that the caller gave them; raises `InvalidInput`."""
    given = _renamed(values, signature)
    check_names(given, signature)
    return request_of(given, signature, signature.default_outputs)


def request_of(
    inputs: models.Tensors,
    signature: models.Signature,
    wanted: frozenset[str],
    parameters: Mapping[str, models.Scalar] = models.NO_PARAMETERS,
) -> models.Request:
    """Gives the request for arrays by input name; raises `InvalidInput` when they can't belong together."""
    lengths = {name: array.shape[0] for name, array in inputs.items() if array.ndim}
    if signature.is_row_wise and len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise errors.InvalidInput(f"the inputs have different numbers of rows: {listed}")
    count = next(iter(lengths.values()), 1)
    if count == 0:
        raise errors.InvalidInput("the inputs have no rows; send at least one")
    return models.Request(inputs, count, wanted, parameters)


def check_names(names: Mapping[str, Any], signature: models.Signature) -> None:
    """Raises `InvalidInput` for inputs that the model does not have, and for those it can't do without."""
    known = {spec.name for spec in signature.inputs}
    for name in names:
        if name not in known:
            raise errors.InvalidInput(
                f"the model has no input {rows.shown(name)}; it takes {signature.expected}"
            )
    for spec in signature.inputs:
        if spec.name not in names and spec.name not in signature.optional:
            raise errors.InvalidInput(
                f"the input {spec.name!r} is missing; the model takes {signature.expected}"
            )


def read_parameters(
    value: Any, signature: models.Signature, ignores_unknown: bool = False
) -> Mapping[str, models.Scalar]:
    """Gives the parameters that the model heeds; raises `InvalidInput` for others unless they are to be ignored."""
    if value is None:
        return models.NO_PARAMETERS
    if not isinstance(value, dict):
        raise errors.InvalidInput(f"the parameters are {rows.kind_of(value)}; send an object")
    found: dict[str, models.Scalar] = {}
    for name, given in value.items():
        if name not in signature.parameters:
            if ignores_unknown:
                continue
            known = ", ".join(signature.parameters) or "none"
            raise errors.InvalidInput(f"the model heeds no parameter {rows.shown(name)}; it has {known}")
        if not isinstance(given, str | int | float | bool):
            raise errors.InvalidInput(
                f"the parameter {name!r} is {rows.kind_of(given)}; send a number, text or a boolean"
            )
        found[name] = given
    return found


def _renamed(values: Mapping[str, Any], signature: models.Signature) -> Mapping[str, Any]:
    required = [spec.name for spec in signature.inputs if spec.name not in signature.optional]
    if (
        models.TABLE in values
        and len(required) == 1
        and all(one.name != models.TABLE for one in signature.inputs)
    ):
        if required[0] in values:
            raise errors.InvalidInput(
                f"{models.TABLE} and {required[0]!r} are the same input; send one of them"
            )
        return {required[0] if name == models.TABLE else name: value for name, value in values.items()}
    return values
