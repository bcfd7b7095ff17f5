"""Rows of plain JSON values → the model's input table, with errors that name row and feature.

Called by the protocols that carry rows. Pure. Speed matters less than words here: the usual request, rows of numbers of
the right width, is decoded by `protocols.predict` and never comes this way.
"""

import math
from typing import Any

import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models


def build_table(rows: Any, signature: models.Signature) -> models.Table:
    """Gives the table for the value of `X`; raises `InvalidInput`."""
    if not isinstance(rows, list):
        raise errors.InvalidInput(f"X is {_kind_of(rows)}; send a list of rows, such as {example(signature)}")
    if not rows:
        raise errors.InvalidInput("X is empty; send at least one row")
    if signature.takes_documents:
        return _documents(rows)
    listed = [_as_list(index, row, signature) for index, row in enumerate(rows)]
    check_width(len(listed[0]), signature)
    width = len(listed[0])
    for index, row in enumerate(listed):
        if len(row) != width:
            raise errors.InvalidInput(
                f"row {index} of X has {_count(len(row), 'value')}, but row 0 has {width}; "
                f"every row needs the same features: {signature.expected}"
            )
    checked = [
        [_value(index, column, value, signature) for column, value in enumerate(row)]
        for index, row in enumerate(listed)
    ]
    if signature.is_numeric:
        return np.array(checked, dtype=np.float64)
    return np.array(checked, dtype=np.object_)


def check_width(width: int, signature: models.Signature) -> None:
    """Raises `InvalidInput` when rows of `width` values don't fit the model."""
    if width == 0:
        raise errors.InvalidInput(f"the rows of X are empty; the model takes {signature.expected}")
    if signature.features is not None and width != len(signature.features):
        raise errors.InvalidInput(
            f"X has {_count(width, 'value')} per row, but the model takes {signature.expected}"
        )


def example(signature: models.Signature) -> str:
    """Gives a valid value of `X` for messages and documents."""
    if signature.takes_documents:
        return '["some text"]'
    if signature.features is None:
        return "[[1.0, 2.0]]"
    values = ['"text"' if feature.kind is models.Kind.TEXT else "0.5" for feature in signature.features[:8]]
    return f"[[{', '.join(values)}{', …' if len(signature.features) > 8 else ''}]]"


def place(index: int, column: int, signature: models.Signature) -> str:
    """Gives what to call a value in a message: its row, counted from 0, and its feature, by name if it has one."""
    return f"X, row {index}, {_feature_label(column, signature)}"


def _feature_label(column: int, signature: models.Signature) -> str:
    if signature.is_named and signature.features is not None and column < len(signature.features):
        return f"feature {signature.features[column].name!r}"
    return f"feature {column}"


def _documents(rows: list[Any]) -> models.Table:
    flat = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in rows]
    for index, value in enumerate(flat):
        if not isinstance(value, str):
            raise errors.InvalidInput(
                f"row {index} of X is {_kind_of(value)}, but the model takes one text per row"
            )
    table = np.empty(len(flat), dtype=np.object_)
    table[:] = flat
    return table


def _as_list(index: int, row: Any, signature: models.Signature) -> list[Any]:
    if isinstance(row, list):
        return row
    if isinstance(row, dict):
        return _by_name(index, row, signature)
    if signature.features is None or len(signature.features) == 1:
        return [row]  # a flat list is one feature per row
    raise errors.InvalidInput(
        f"row {index} of X is {_kind_of(row)}, not a list; the model takes {signature.expected}: "
        f"write one inner list per row, such as {example(signature)}"
    )


def _by_name(index: int, row: dict[str, Any], signature: models.Signature) -> list[Any]:
    if not signature.is_named or signature.features is None:
        raise errors.InvalidInput(
            f"row {index} of X is an object, but the model was fitted without feature names; "
            f"send rows as lists, such as {example(signature)}"
        )
    names = [feature.name for feature in signature.features]
    missing = [name for name in names if name not in row]
    unknown = [name for name in row if name not in set(names)]
    if missing or unknown:
        problem = (
            f"lacks the feature {missing[0]!r}"
            if missing
            else f"has the unknown feature {_shown(unknown[0])}"
        )
        raise errors.InvalidInput(f"row {index} of X {problem}; the model takes {signature.expected}")
    return [row[name] for name in names]


def _value(index: int, column: int, value: Any, signature: models.Signature) -> Any:
    kind = models.Kind.ANY
    if signature.features is not None:
        kind = signature.features[column].kind
    elif signature.is_numeric:
        kind = models.Kind.NUMBER
    if value is None:
        if signature.allows_missing or not signature.is_numeric:
            return math.nan if kind is models.Kind.NUMBER else None
        raise _wrong(index, column, value, "the model takes no missing values", signature)
    if isinstance(value, list | dict):
        raise _wrong(index, column, value, "a row holds plain values", signature)
    if kind is models.Kind.TEXT and not isinstance(value, str):
        raise _wrong(index, column, value, "the model takes text there", signature)
    if kind is models.Kind.NUMBER:
        return _number(index, column, value, signature)
    return value


def _number(index: int, column: int, value: Any, signature: models.Signature) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(index, column, value, "the model takes a number there", signature)
    try:
        return float(value)
    except OverflowError:
        raise errors.InvalidInput(
            f"{place(index, column, signature)} is a number too large for a 64-bit float"
        ) from None


def _wrong(
    index: int, column: int, value: Any, rule: str, signature: models.Signature
) -> errors.InvalidInput:
    shown = f" {_shown(value)}" if isinstance(value, str) else ""
    return errors.InvalidInput(f"{place(index, column, signature)} is {_kind_of(value)}{shown}, but {rule}")


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "…")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
