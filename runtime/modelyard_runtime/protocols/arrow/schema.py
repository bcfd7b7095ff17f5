"""The columns of an Arrow stream: which kinds of values are taken, and in what words others are refused.

Called by `arrow.reader`. Pure. Taken is what a model can be given: numbers, truths, text, and lists of a fixed size.
"""

import enum
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.protocols import rows
from modelyard_runtime.protocols.arrow import flatbuffer

# Of the enumeration `Type` in Arrow's Schema.fbs.
NOTHING, INTEGER, FLOAT, UTF8, BOOL, FIXED_SIZE_LIST, LARGE_UTF8, UTF8_VIEW = 1, 2, 3, 5, 6, 16, 20, 24
_NAMES = {
    4: "binary", 7: "decimals", 8: "dates", 9: "times", 10: "timestamps", 11: "intervals", 12: "lists", 13: "structs",
    14: "unions", 15: "binary", 17: "maps", 18: "durations", 19: "binary", 21: "lists", 22: "runs", 23: "binary",
    25: "lists", 26: "lists",
}  # fmt: skip
_FLOATS = ("<f2", "<f4", "<f8")
_EXTENSION = "ARROW:extension:name"
_MAX_DEPTH = 8  # of lists in lists
_MAX_COLUMNS = 10_000  # of a model that doesn't say how many features it takes


class Kind(enum.Enum):
    """How a column's values lie in its buffers."""

    NOTHING = "nothing"
    NUMBERS = "numbers"
    BOOLEANS = "booleans"
    TEXT = "text"
    VIEWS = "text views"
    LISTS = "lists"


class Column(msgspec.Struct, frozen=True):
    """One column: the dtype is that of its numbers, or of the offsets of its text."""

    name: str
    kind: Kind
    dtype: "np.dtype[Any]"
    size: int = 0
    item: "Column | None" = None
    # The dictionary that its values are places in, and what that holds.
    dictionary: int | None = None
    entries: "Column | None" = None


_OCTET = np.dtype("u1")
_BY_TYPE: Mapping[int, tuple[Kind, np.dtype[Any]]] = {
    NOTHING: (Kind.NOTHING, _OCTET),
    BOOL: (Kind.BOOLEANS, _OCTET),
    UTF8: (Kind.TEXT, np.dtype("<i4")),
    LARGE_UTF8: (Kind.TEXT, np.dtype("<i8")),
    UTF8_VIEW: (Kind.VIEWS, _OCTET),
}


def parse(message: flatbuffer.Table, features: int | None) -> tuple[Column, ...]:
    """Gives the columns of a schema; raises `InvalidInput`, or `Damaged`."""
    if message.number(0, "h"):
        raise errors.InvalidInput("the Arrow stream has its numbers in big-endian order; send little-endian")
    count = message.count(1)
    most = _MAX_COLUMNS if features is None else features + _MAX_COLUMNS
    if count > most:
        raise errors.InvalidInput(f"the Arrow stream has {count} columns; at most {most} are taken")
    return tuple(_column(one, 0) for one in message.tables(1))


def _column(field: flatbuffer.Table, depth: int) -> Column:
    name = field.text(0)
    # Otherwise a duration of an extension would be taken for the number that it is stored as.
    if any(entry.text(0) == _EXTENSION for entry in field.tables(6)):
        raise _not_taken(name, "values of an extension type")
    kind = field.number(2, "B")
    details = field.table(3)
    if details is None:
        raise flatbuffer.Damaged("a column has no type")
    if kind == FIXED_SIZE_LIST:
        column = _list(name, field, details, depth)
    elif kind in (INTEGER, FLOAT):
        column = Column(name, Kind.NUMBERS, _integer(details) if kind == INTEGER else _float(details))
    elif kind in _BY_TYPE:
        column = Column(name, *_BY_TYPE[kind])
    else:
        raise _not_taken(name, _NAMES.get(kind, "values of an unknown type"))
    encoding = field.table(4)
    if encoding is None:
        return column
    if depth or column.kind not in (Kind.TEXT, Kind.NUMBERS, Kind.VIEWS):
        raise _not_taken(name, "such dictionaries")
    places = encoding.table(1)
    dtype = np.dtype("<i4") if places is None else _integer(places)
    return Column(name, Kind.NUMBERS, dtype, dictionary=encoding.number(0, "q"), entries=column)


def _list(name: str, field: flatbuffer.Table, details: flatbuffer.Table, depth: int) -> Column:
    size = details.number(0, "i")
    items = list(field.tables(5)) if field.count(5) == 1 else []
    if not items or size < 1:
        raise flatbuffer.Damaged("a column of lists has no items")
    if depth >= _MAX_DEPTH:
        raise errors.InvalidInput(f"the column {rows.shown(name)} nests lists more than {_MAX_DEPTH} deep")
    item = _column(items[0], depth + 1)
    if item.kind not in (Kind.NUMBERS, Kind.BOOLEANS, Kind.LISTS):
        raise _not_taken(name, f"lists of {item.kind.value}")
    return Column(name, Kind.LISTS, _OCTET, size, item)


def _integer(details: flatbuffer.Table) -> "np.dtype[Any]":
    width = details.number(0, "i")
    if width not in (8, 16, 32, 64):
        raise flatbuffer.Damaged(f"it has integers of {width} bits")
    return np.dtype(f"<{'i' if details.number(1, '?') else 'u'}{width // 8}")


def _float(details: flatbuffer.Table) -> "np.dtype[Any]":
    precision = details.number(0, "h")
    if not 0 <= precision < len(_FLOATS):
        raise flatbuffer.Damaged("it has floats of an unknown size")
    return np.dtype(_FLOATS[precision])


def _not_taken(name: str, what: str) -> errors.InvalidInput:
    return errors.InvalidInput(
        f"the column {rows.shown(name)} of the Arrow stream has {what}, which are not taken; send numbers, booleans, "
        "text or lists of a fixed size"
    )
