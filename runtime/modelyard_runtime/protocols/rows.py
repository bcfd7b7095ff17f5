"""Rows of plain JSON values → the model's input table, with errors that name row and feature.

Called by the protocols that carry rows. Pure. Speed matters less than words here: the usual request, rows of numbers of
the right width, is decoded by `protocols.matrix` and never comes this way.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models


def build_table(rows: Any, signature: models.Signature, field: str = models.TABLE) -> models.Table:
    """Gives the table for the value of a body's `field`; raises `InvalidInput`."""
    if not isinstance(rows, list):
        raise errors.InvalidInput(
            f"{field} is {kind_of(rows)}; send a list of rows, such as {example(signature)}"
        )
    if not rows:
        raise errors.InvalidInput(f"{field} is empty; send at least one row")
    reader = _Reader(signature, field)
    if signature.takes_documents:
        return reader.documents(rows)
    listed = [reader.as_list(index, row) for index, row in enumerate(rows)]
    check_width(len(listed[0]), signature, field)
    width = len(listed[0])
    for index, row in enumerate(listed):
        if len(row) != width:
            raise errors.InvalidInput(
                f"row {index} of {field} has {_count(len(row), 'value')}, but row 0 has {width}; "
                f"every row needs the same features: {signature.expected}"
            )
    checked = [
        [reader.value(index, column, value) for column, value in enumerate(row)]
        for index, row in enumerate(listed)
    ]
    if signature.is_numeric:
        return np.array(checked, dtype=np.float64)
    return np.array(checked, dtype=np.object_)


def build_from_columns(
    columns: Mapping[str, Any], signature: models.Signature, field: str = models.TABLE
) -> models.Table:
    """Gives the table for lists of values by feature name; raises `InvalidInput`."""
    values = list(columns.values())
    for name, column in columns.items():
        if not isinstance(column, list) or len(column) != len(values[0]):
            raise errors.InvalidInput(
                f"{field}: the column {shown(name)} is not a list as long as the first; "
                "send one list of values for each feature"
            )
    order = column_order(list(columns), signature, field)
    return build_table(
        [list(row) for row in zip(*(values[index] for index in order), strict=True)], signature, field
    )


def column_order(names: Sequence[str], signature: models.Signature, field: str) -> list[int]:
    """Gives for each feature where it stands among named columns; raises `InvalidInput` when they are not the model's.

    A model that was fitted without names takes as many columns as it has features, in their order.
    """
    if not signature.is_named or signature.features is None:
        check_width(len(names), signature, field)
        return list(range(len(names)))
    if len(set(names)) != len(names):
        raise errors.InvalidInput(
            f"{field} has two columns of the same name; the model takes {signature.expected}"
        )
    positions = {name: index for index, name in enumerate(names)}
    known = {feature.name for feature in signature.features}
    missing = [feature.name for feature in signature.features if feature.name not in positions]
    unknown = [name for name in names if name not in known]
    if missing or unknown:
        problem = (
            f"lacks the feature {missing[0]!r}" if missing else f"has the unknown feature {shown(unknown[0])}"
        )
        raise errors.InvalidInput(f"{field} {problem}; the model takes {signature.expected}")
    return [positions[feature.name] for feature in signature.features]


def check_width(width: int, signature: models.Signature, field: str = models.TABLE) -> None:
    """Raises `InvalidInput` when rows of `width` values don't fit the model."""
    if width == 0:
        raise errors.InvalidInput(f"the rows of {field} are empty; the model takes {signature.expected}")
    if signature.features is not None and width != len(signature.features):
        raise errors.InvalidInput(
            f"{field} has {_count(width, 'value')} per row, but the model takes {signature.expected}"
        )


def check_finite(table: models.Table, signature: models.Signature, field: str) -> None:
    """Raises `InvalidInput` for infinity, and for NaN where the model takes no missing values.

    For the forms that can carry them: JSON can't.
    """
    if table.dtype.kind != "f" or np.isfinite(table).all():
        return
    bad = ~np.isfinite(table) if not signature.allows_missing else np.isinf(table)
    if bad.any():
        row, column = (int(index) for index in np.argwhere(bad.reshape(len(table), -1))[0])
        what = "NaN, but the model takes no missing values" if np.isnan(table[row, column]) else "infinite"
        raise errors.InvalidInput(f"{place(row, column, signature, field)} is {what}")


def example(signature: models.Signature) -> str:
    """Gives a valid value of `X` for messages and documents."""
    if signature.takes_documents:
        return '["some text"]'
    if signature.features is None:
        return "[[1.0, 2.0]]"
    values = ['"text"' if feature.kind is models.Kind.TEXT else "0.5" for feature in signature.features[:8]]
    return f"[[{', '.join(values)}{', …' if len(signature.features) > 8 else ''}]]"


def place(index: int, column: int, signature: models.Signature, field: str = models.TABLE) -> str:
    """Gives what to call a value in a message: its row, counted from 0, and its feature, by name if it has one."""
    return f"{field}, row {index}, {_feature_label(column, signature)}"


def kind_of(value: Any) -> str:
    """Gives what a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"


def shown(value: str) -> str:
    """Gives a caller's text for a message, shortened."""
    return repr(value if len(value) <= 40 else value[:40] + "…")


class _Reader:
    """Reads rows for one model out of one field of a body."""

    def __init__(self, signature: models.Signature, field: str) -> None:
        self._signature = signature
        self._field = field
        features = signature.features
        self._kinds = None if features is None else [feature.kind for feature in features]
        self._names = [feature.name for feature in features] if features and signature.is_named else None

    def documents(self, rows: list[Any]) -> models.Table:
        flat = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in rows]
        for index, value in enumerate(flat):
            if not isinstance(value, str):
                raise errors.InvalidInput(
                    f"row {index} of {self._field} is {kind_of(value)}, but the model takes one text per row"
                )
        table = np.empty(len(flat), dtype=np.object_)
        table[:] = flat
        return table

    def as_list(self, index: int, row: Any) -> list[Any]:
        if isinstance(row, list):
            return row
        if isinstance(row, dict):
            return self._by_name(index, row)
        if self._kinds is None or len(self._kinds) == 1:
            return [row]  # a flat list is one feature per row
        raise errors.InvalidInput(
            f"row {index} of {self._field} is {kind_of(row)}, not a list; the model takes "
            f"{self._signature.expected}: write one inner list per row, such as {example(self._signature)}"
        )

    def _by_name(self, index: int, row: dict[str, Any]) -> list[Any]:
        if self._names is None:
            raise errors.InvalidInput(
                f"row {index} of {self._field} is an object, but the model was fitted without feature names; "
                f"send rows as lists, such as {example(self._signature)}"
            )
        if len(row) == len(self._names):
            try:
                return [row[name] for name in self._names]
            except KeyError:
                pass  # below, in words
        order = column_order(list(row), self._signature, f"row {index} of {self._field}")
        values = list(row.values())
        return [values[position] for position in order]

    def value(self, index: int, column: int, value: Any) -> Any:
        kind = models.Kind.ANY
        if self._kinds is not None:
            kind = self._kinds[column]
        elif self._signature.is_numeric:
            kind = models.Kind.NUMBER
        if value is None:
            if self._signature.allows_missing or not self._signature.is_numeric:
                return math.nan if kind is models.Kind.NUMBER else None
            raise self._wrong(index, column, value, "the model takes no missing values")
        if isinstance(value, list | dict):
            raise self._wrong(index, column, value, "a row holds plain values")
        if kind is models.Kind.TEXT and not isinstance(value, str):
            raise self._wrong(index, column, value, "the model takes text there")
        if kind is models.Kind.NUMBER:
            return self._number(index, column, value)
        return value

    def _number(self, index: int, column: int, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(index, column, value, "the model takes a number there")
        try:
            return float(value)
        except OverflowError:
            where = place(index, column, self._signature, self._field)
            raise errors.InvalidInput(f"{where} is a number too large for a 64-bit float") from None

    def _wrong(self, index: int, column: int, value: Any, rule: str) -> errors.InvalidInput:
        seen = f" {shown(value)}" if isinstance(value, str) else ""
        where = place(index, column, self._signature, self._field)
        return errors.InvalidInput(f"{where} is {kind_of(value)}{seen}, but {rule}")


def _feature_label(column: int, signature: models.Signature) -> str:
    if signature.is_named and signature.features is not None and column < len(signature.features):
        return f"feature {signature.features[column].name!r}"
    return f"feature {column}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
