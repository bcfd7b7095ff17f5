"""The input tensors of an Open Inference Protocol request → what the model takes: its table, or its named tensors.

Called by `protocols.v2` with tensors that are decoded. Pure.
"""

import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import named, rows, tensors

Decoded = dict[str, tensors.Tensor]


def build_request(
    decoded: Decoded,
    signature: models.Signature,
    wanted: frozenset[str],
    parameters: dict[str, models.Scalar] | None,
) -> models.Request:
    """Gives the request for tensors by name; raises `InvalidInput` when they are not the model's."""
    heeded = named.read_parameters(parameters, signature, ignores_unknown=True)
    if not signature.inputs:
        table = _assemble(decoded, signature)
        return models.Request({models.TABLE: table}, table.shape[0], wanted, heeded)
    if len(decoded) == 1 and len(signature.inputs) == 1:
        # There is no doubt which one is meant, whatever a client calls it.
        decoded = {signature.inputs[0].name: next(iter(decoded.values()))}
    named.check_names(decoded, signature)
    return named.request_of(decoded, signature, wanted, heeded)


def expected(signature: models.Signature) -> str:
    """Gives the inputs the model takes in words."""
    if signature.inputs:
        return signature.expected
    if signature.takes_documents:
        return "one BYTES tensor of shape [-1]"
    width = "-1" if signature.features is None else str(len(signature.features))
    matrix = f"one tensor of shape [-1, {width}]"
    return f"{matrix}, or one tensor per feature: {signature.expected}" if signature.is_named else matrix


def _assemble(decoded: Decoded, signature: models.Signature) -> models.Table:
    names = list(decoded)
    features = signature.feature_names if signature.is_named else ()
    if features and names[0] in features:
        return _from_columns(decoded, signature, features)
    if len(names) == 1:
        return _from_tensor(names[0], decoded[names[0]], signature)
    raise errors.InvalidInput(
        f"the inputs {', '.join(names)[:200]} are not the model's: it takes {expected(signature)}"
    )


def _from_columns(decoded: Decoded, signature: models.Signature, features: tuple[str, ...]) -> models.Table:
    missing = [name for name in features if name not in decoded]
    unknown = [name for name in decoded if name not in features]
    if missing or unknown:
        problem = (
            f"the input {missing[0]!r} is missing" if missing else f"the input {unknown[0][:80]!r} is unknown"
        )
        raise errors.InvalidInput(f"{problem}; the model takes {signature.expected}")
    columns: list[tensors.Tensor] = []
    for name in features:
        tensor = decoded[name]
        if tensor.ndim not in (1, 2) or (tensor.ndim == 2 and tensor.shape[1] != 1):
            raise errors.InvalidInput(
                f"input {name!r} has the shape {list(tensor.shape)}; one feature has [-1] or [-1, 1]"
            )
        columns.append(tensor.reshape(-1))
    lengths = {column.shape[0] for column in columns}
    if len(lengths) != 1:
        raise errors.InvalidInput(
            f"the inputs have different numbers of rows: {', '.join(map(str, sorted(lengths)))}"
        )
    table: models.Table = np.column_stack([_plain(column, signature) for column in columns])
    return _checked(table, signature)


def _from_tensor(name: str, tensor: tensors.Tensor, signature: models.Signature) -> models.Table:
    if signature.takes_documents:
        if (
            tensor.dtype.kind != "O"
            or tensor.ndim not in (1, 2)
            or (tensor.ndim == 2 and tensor.shape[1] != 1)
        ):
            raise errors.InvalidInput(f"input {name!r}: the model takes {expected(signature)}")
        return rows.build_table(tensor.reshape(-1).tolist(), signature)
    if tensor.ndim == 1 and (signature.features is None or len(signature.features) == 1):
        tensor = tensor.reshape(-1, 1)
    width_fits = signature.features is None or (
        tensor.ndim == 2 and tensor.shape[1] == len(signature.features)
    )
    if tensor.ndim != 2 or not width_fits:
        raise errors.InvalidInput(
            f"input {name[:80]!r} has the shape {list(tensor.shape)}, but the model takes {expected(signature)}"
        )
    return _checked(_plain(tensor, signature), signature)


def _plain(tensor: tensors.Tensor, signature: models.Signature) -> models.Table:
    """Gives float64 for numbers; the column of a model that takes text stays as it is."""
    if tensor.dtype.kind == "O" or not signature.is_numeric:
        return tensor.astype(np.object_)
    return tensor.astype(np.float64, copy=False)


def _checked(table: models.Table, signature: models.Signature) -> models.Table:
    if table.shape[0] == 0:
        raise errors.InvalidInput("the inputs have no rows; send at least one")
    if table.dtype.kind == "O":
        # Text is among the values: check each against its feature's kind, and name the one that is wrong.
        return rows.build_table(table.tolist(), signature)
    rows.check_width(table.shape[1], signature)
    return table
