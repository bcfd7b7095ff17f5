"""Arrays by column → an Arrow IPC stream of one record batch.

Called by `protocols.arrow_stream`. Pure. Numbers are written as they are, NaN and infinity too; text is `utf8`, None in
it is missing; an array of several values per row is a list of a fixed size.
"""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime.protocols.arrow import flatbuffer, schema
from modelyard_runtime.protocols.arrow.flatbuffer import Items, Number

_VERSION = Number("h", 4)  # V5, since Arrow 1.0
_CONTINUATION = b"\xff\xff\xff\xff"
_SCHEMA, _BATCH = 1, 3
_PRECISION = {2: 0, 4: 1, 8: 2}


class _Column:
    """A column on its way: its type, and its nodes and buffers in Arrow's order."""

    def __init__(self, name: str, array: npt.NDArray[Any]) -> None:
        self.nodes: list[tuple[int, int]] = []
        self.buffers: list[bytes] = []
        self.field = self._put(name, array.reshape(len(array), *array.shape[1:]), array.shape[1:])

    def _put(self, name: str, array: npt.NDArray[Any], inner: tuple[int, ...]) -> tuple[Any, ...]:
        """Adds an array of which each value has the shape `inner`; gives its field."""
        if inner:
            self._node(len(array), 0, b"")
            item = self._put("item", array.reshape(-1, *inner[1:]), inner[1:])
            return _field(name, schema.FIXED_SIZE_LIST, (Number("i", inner[0]),), item)
        if array.dtype.kind == "b":
            self._node(len(array), 0, b"", np.packbits(array, bitorder="little").tobytes())
            return _field(name, schema.BOOL, ())
        if array.dtype.kind in "iuf" and array.dtype.itemsize <= 8:
            self._node(len(array), 0, b"", array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
            return _field(name, *_number_type(array.dtype))
        return self._put_text(name, array)

    def _put_text(self, name: str, array: npt.NDArray[Any]) -> tuple[Any, ...]:
        values = array.tolist()
        present = np.array([value is not None for value in values], np.bool_)
        texts = [b"" if value is None else str(value).encode("utf-8", "replace") for value in values]
        offsets = np.cumsum([0, *(len(text) for text in texts)])
        missing = len(values) - int(present.sum())
        validity = np.packbits(present, bitorder="little").tobytes() if missing else b""
        self._node(len(values), missing, validity, offsets.astype("<i4").tobytes(), b"".join(texts))
        return _field(name, schema.UTF8, ())

    def _node(self, length: int, missing: int, *content: bytes) -> None:
        self.nodes.append((length, missing))
        self.buffers += content


def write(columns: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Gives the stream of columns of the same length."""
    made = [_Column(name, array) for name, array in columns.items()]
    rows = len(next(iter(columns.values())))
    places, content = [], bytearray()
    for buffer in (buffer for column in made for buffer in column.buffers):
        places.append((len(content), len(buffer)))
        content += buffer + bytes(-len(buffer) % 8)
    nodes = [node for column in made for node in column.nodes]
    batch = (Number("q", rows), _pairs(nodes), _pairs(places))
    fields = (Number("h", 0), [column.field for column in made])
    return b"".join(
        (_message(_SCHEMA, fields), _message(_BATCH, batch, bytes(content)), _CONTINUATION, bytes(4))
    )


def _message(kind: int, header: tuple[Any, ...], content: bytes = b"") -> bytes:
    metadata = flatbuffer.build((_VERSION, Number("B", kind), header, Number("q", len(content))))
    return _CONTINUATION + struct.pack("<i", len(metadata)) + metadata + content


def _field(name: str, kind: int, details: tuple[Any, ...], *items: tuple[Any, ...]) -> tuple[Any, ...]:
    return name, Number("?", 1), Number("B", kind), details, None, list(items)


def _number_type(dtype: "np.dtype[Any]") -> tuple[int, tuple[Any, ...]]:
    if dtype.kind == "f":
        return schema.FLOAT, (Number("h", _PRECISION[dtype.itemsize]),)
    return schema.INTEGER, (Number("i", 8 * dtype.itemsize), Number("?", dtype.kind == "i"))


def _pairs(values: list[tuple[int, int]]) -> Items:
    return Items(len(values), b"".join(struct.pack("<2q", *pair) for pair in values))
