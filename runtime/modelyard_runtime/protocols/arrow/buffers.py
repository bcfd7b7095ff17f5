"""The values of an Arrow stream's columns: one record batch's buffers → NumPy arrays.

Called by `arrow.reader`. Pure. Sizes, places and counts are claims: each is held against the bytes that are there.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime.protocols.arrow import flatbuffer
from modelyard_runtime.protocols.arrow.schema import Column, Kind

Array = npt.NDArray[Any]
_INLINE_BYTES = 12  # of a text that lies in its view
# A view: how long the text is, its beginning, and in which buffer and where the whole of it lies.
_VIEW = np.dtype([("size", "<i4"), ("start", "<u4"), ("buffer", "<i4"), ("offset", "<i4")])


class Batch:
    """A record batch, read column by column in the order of the schema."""

    def __init__(self, header: flatbuffer.Table, content: memoryview) -> None:
        self.rows = header.number(0, "q")
        if header.table(3) is not None:
            raise flatbuffer.Damaged(
                "its buffers are compressed, which is not taken; write it without compression, and send the whole with "
                "Content-Encoding: zstd"
            )
        self._nodes = iter(header.numbers(1, 2))
        self._buffers = iter(header.numbers(2, 2))
        self._more = iter(header.numbers(4, 1))
        self._content = content
        # Places may agree, so that a few bytes would stand for many: each is read once.
        self._left = len(content)
        self._text_left = len(content)

    def values(self, column: Column, dictionaries: Mapping[int, Array], rows: int | None = None) -> Array:
        """Gives the next column; missing values are NaN among numbers and None elsewhere; raises `Damaged`."""
        rows = self.rows if rows is None else rows
        length, _ = next(self._nodes, (-1, 0))
        if length != rows:
            raise flatbuffer.Damaged(
                f"the column {column.name[:40]!r} has another length than its record batch"
            )
        if column.kind is Kind.NOTHING:
            return np.full(rows, np.nan)
        present = self._bits(rows)
        if column.kind is Kind.LISTS:
            return self._lists(column, dictionaries, rows, present)
        values = self._plain(column, rows, present)
        if column.entries is None:
            return _masked(values, present)
        return _looked_up(values, present, dictionaries.get(column.dictionary or 0))

    def _plain(self, column: Column, rows: int, present: npt.NDArray[np.bool_] | None) -> Array:
        """Gives a column's values; those that are missing are anything."""
        if column.kind is Kind.TEXT:
            return self._texts(rows, column.dtype)
        if column.kind is Kind.VIEWS:
            return self._views(rows, present)
        if column.kind is Kind.NUMBERS:
            return self._numbers(rows, column.dtype)
        truths = self._bits(rows)
        if truths is None:
            raise _too_short()
        return truths

    def _take(self) -> memoryview:
        start, size = next(self._buffers, (-1, 0))
        if start < 0 or size < 0 or start + size > len(self._content):
            raise flatbuffer.Damaged("a buffer of it lies beyond the end of its record batch")
        self._left -= size
        if self._left < 0:
            raise flatbuffer.Damaged("buffers of it lie in the same place")
        return self._content[start : start + size]

    def _numbers(self, count: int, dtype: "np.dtype[Any]") -> Array:
        buffer = self._take()
        if len(buffer) < count * dtype.itemsize:
            raise _too_short()
        return np.frombuffer(buffer, dtype, count)

    def _bits(self, count: int) -> npt.NDArray[np.bool_] | None:
        """Gives the truths in the next buffer, None where it is empty."""
        buffer = self._take()
        if not len(buffer):
            return None
        if 8 * len(buffer) < count:
            raise _too_short()
        octets = np.frombuffer(buffer, np.uint8, (count + 7) // 8)
        return np.unpackbits(octets, count=count, bitorder="little").view(np.bool_)

    def _texts(self, rows: int, dtype: "np.dtype[Any]") -> Array:
        offsets = self._numbers(rows + 1, dtype)
        content = self._take()
        if offsets[0] < 0 or offsets[-1] > len(content) or (offsets[1:] < offsets[:-1]).any():
            raise flatbuffer.Damaged("a text of it lies beyond the end of its buffer")
        places = offsets.tolist()
        return _as_text([content[start:end].tobytes() for start, end in itertools.pairwise(places)])

    def _views(self, rows: int, present: npt.NDArray[np.bool_] | None) -> Array:
        packed = self._take()
        if len(packed) < rows * _VIEW.itemsize:
            raise _too_short()
        (count,) = next(self._more, (-1,))
        if not 0 <= count <= len(self._content):
            raise flatbuffer.Damaged("it has an impossible number of buffers")
        more = [self._take() for _ in range(count)]
        views = np.frombuffer(packed, _VIEW, rows)
        sizes = views["size"] if present is None else np.where(present, views["size"], 0)
        self._text_left -= int(np.maximum(sizes, 0).sum(dtype=np.int64))
        if self._text_left < 0:
            raise flatbuffer.Damaged("its texts are longer than its bytes; send them as utf8, not as views")
        found = []
        places = zip(sizes.tolist(), views["buffer"].tolist(), views["offset"].tolist(), strict=True)
        for row, (size, buffer, offset) in enumerate(places):
            if size <= _INLINE_BYTES:
                source, start = packed, row * _VIEW.itemsize + 4
            elif 0 <= buffer < count:
                source, start = more[buffer], offset
            else:
                raise _too_short()
            if start < 0 or size < 0 or start + size > len(source):
                raise _too_short()
            found.append(source[start : start + size].tobytes())
        return _as_text(found)

    def _lists(
        self,
        column: Column,
        dictionaries: Mapping[int, Array],
        rows: int,
        present: npt.NDArray[np.bool_] | None,
    ) -> Array:
        if column.item is None or (present is not None and not present.all()):
            raise flatbuffer.Damaged(
                f"the column {column.name[:40]!r} has a missing list, which is not taken"
            )
        # What the items take is there, or they are refused; the product itself is not bounded by anything.
        items = self.values(column.item, dictionaries, rows * column.size)
        return items.reshape(rows, column.size, *items.shape[1:])


def _masked(values: Array, present: npt.NDArray[np.bool_] | None) -> Array:
    if present is None or present.all():
        return values
    if values.dtype.kind in "iuf":
        return np.where(present, values, math.nan)
    masked = values.astype(object)
    masked[~present] = None
    return masked


def _looked_up(places: Array, present: npt.NDArray[np.bool_] | None, entries: Array | None) -> Array:
    if entries is None:
        raise flatbuffer.Damaged("it lacks the dictionary of a column")
    if present is None:
        present = np.ones(len(places), np.bool_)
    known = places[present]
    if len(known) and (known.min() < 0 or known.max() >= len(entries)):
        raise flatbuffer.Damaged("a value lies beyond the end of its dictionary")
    if not len(entries):
        return np.full(len(places), None, object)
    return _masked(entries[np.where(present, places, 0).astype(np.intp)], present)


def _as_text(values: list[bytes]) -> Array:
    found = np.empty(len(values), object)
    try:
        found[:] = [value.decode() for value in values]
    except UnicodeDecodeError:
        raise flatbuffer.Damaged("a text of it is not UTF-8") from None
    return found


def _too_short() -> flatbuffer.Damaged:
    return flatbuffer.Damaged("a buffer of it is too short for its values")
