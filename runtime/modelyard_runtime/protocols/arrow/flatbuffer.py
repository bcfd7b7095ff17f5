"""Flatbuffers, the form of the metadata in Arrow's streams: a table's fields, found by their places and checked.

Called by `arrow.schema` and `arrow.reader` to read, by `arrow.writer` to write. Pure. Every place in a buffer is a
claim: nothing is read outside of it, and what points there is `Damaged`. Places may agree, so a few bytes could stand
for millions of tables: a buffer is read a few times over and no more.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

_UNSIGNED, _SIGNED, _SHORT = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<H")
_TIMES = 4  # that a buffer is read, at most; ours and pyarrow's are read twice
_LEAST_BYTES = 8  # of a table with its list of places
_FORMS = {form: struct.Struct(f"<{form}") for form in "?Bhiq"}


class Damaged(ValueError):  # noqa: N818 - named for what it means
    """The bytes are no buffer of this form; the text says what is wrong with them."""


class _Buffer:
    """The bytes, and how many of them may be read yet."""

    __slots__ = ("content", "left")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.left = _TIMES * len(content)

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise Damaged("its metadata point to the same places again and again")


class Table:
    """A table in a buffer, whose fields have numbers in the order of its schema."""

    __slots__ = ("_at", "_buffer", "_content", "_fields", "_slots")

    def __init__(self, buffer: _Buffer, at: int) -> None:
        buffer.spend(_LEAST_BYTES)
        self._buffer = buffer
        self._content = buffer.content
        self._at = at
        self._slots = at - self._number(_SIGNED, at)
        self._fields = (self._number(_SHORT, self._slots) - 4) // 2

    def number(self, field: int, form: str, default: int = 0) -> int:
        """Gives a number or a truth of that form of `struct`, or the default where it is absent."""
        at = self._place(field)
        return self._number(_FORMS[form], at) if at else default

    def table(self, field: int) -> "Table | None":
        """Gives the table that a field points to."""
        at = self._place(field)
        return Table(self._buffer, self._target(at)) if at else None

    def text(self, field: int) -> str:
        """Gives a text, empty where it is absent."""
        start, size = self._vector(field, 1)
        try:
            return self._content[start : start + size].decode()
        except UnicodeDecodeError:
            raise Damaged("a name in it is not UTF-8") from None

    def count(self, field: int) -> int:
        """Gives how many tables a vector has."""
        return self._vector(field, 4)[1]

    def tables(self, field: int) -> Iterator["Table"]:
        """Gives the tables of a vector."""
        start, count = self._vector(field, 4)
        for index in range(count):
            yield Table(self._buffer, self._target(start + 4 * index))

    def numbers(self, field: int, per_item: int) -> list[tuple[int, ...]]:
        """Gives the items of a vector that consist of `per_item` 64-bit numbers each."""
        start, count = self._vector(field, 8 * per_item)
        content = self._content[start : start + 8 * per_item * count]
        return list(struct.iter_unpack(f"<{per_item}q", content))

    def _place(self, field: int) -> int:
        if field >= self._fields:
            return 0
        offset = self._number(_SHORT, self._slots + 4 + 2 * field)
        return self._at + offset if offset else 0

    def _target(self, at: int) -> int:
        return at + self._number(_UNSIGNED, at)

    def _vector(self, field: int, width: int) -> tuple[int, int]:
        """Gives where a vector's items of `width` bytes begin, and how many there are."""
        at = self._place(field)
        if not at:
            return 0, 0
        start = self._target(at)
        count = self._number(_UNSIGNED, start)
        if start + 4 + width * count > len(self._content):
            raise Damaged("its metadata point beyond their end")
        self._buffer.spend(width * count)
        return start + 4, count

    def _number(self, form: struct.Struct, at: int) -> int:
        # `unpack_from` counts negative places from the end.
        if not 0 <= at <= len(self._content) - form.size:
            raise Damaged("its metadata point beyond their end")
        found: int = form.unpack_from(self._content, at)[0]
        return found


def root(buffer: bytes) -> Table:
    """Gives the table that a buffer begins with; raises `Damaged`."""
    if len(buffer) < 4:
        raise Damaged("its metadata are too short")
    return Table(_Buffer(buffer), _UNSIGNED.unpack_from(buffer)[0])


class Number(NamedTuple):
    """A field with a number or a truth, in a form of `struct`."""

    form: str
    value: int


class Items(NamedTuple):
    """A vector of items of 64-bit numbers, laid out already."""

    length: int
    content: bytes


# What a table to be written has in its fields: tables are tuples, vectors of tables are lists, None is absent.
Value = Any


def build(fields: tuple[Value, ...]) -> bytes:
    """Gives a buffer that holds a table, its size a multiple of eight."""
    buffer = bytearray(4)
    _SIGNED.pack_into(buffer, 0, _put(buffer, fields))
    _pad(buffer, 8)
    return bytes(buffer)


def _put(buffer: bytearray, value: Value) -> int:
    """Appends a value, and what it points to behind it; gives where it is."""
    if isinstance(value, str):
        return _put_text(buffer, value)
    if isinstance(value, Items):
        _pad(buffer, 8)
        buffer += bytes(4)  # so that the items begin at a multiple of eight
        at = len(buffer)
        buffer += _UNSIGNED.pack(value.length) + value.content
        return at
    if isinstance(value, list):
        _pad(buffer, 4)
        at = len(buffer)
        buffer += _UNSIGNED.pack(len(value)) + bytes(4 * len(value))
        for index, one in enumerate(value):
            _point(buffer, at + 4 + 4 * index, _put(buffer, one))
        return at
    return _put_table(buffer, value)


def _put_text(buffer: bytearray, value: str) -> int:
    _pad(buffer, 4)
    at = len(buffer)
    content = value.encode("utf-8", "replace")
    buffer += _UNSIGNED.pack(len(content)) + content + b"\0"
    return at


def _put_table(buffer: bytearray, fields: tuple[Value, ...]) -> int:
    content, offsets = bytearray(4), []
    for value in fields:
        form = _FORMS[value.form] if isinstance(value, Number) else _UNSIGNED
        if value is None:
            offsets.append(0)
            continue
        _pad(content, form.size)
        offsets.append(len(content))
        content += form.pack(value.value) if isinstance(value, Number) else bytes(4)
    _pad(buffer, 2)
    slots = len(buffer)
    buffer += b"".join(_SHORT.pack(one) for one in (4 + 2 * len(offsets), len(content), *offsets))
    _pad(buffer, 8)
    at = len(buffer)
    buffer += content
    _SIGNED.pack_into(buffer, at, at - slots)
    for offset, value in zip(offsets, fields, strict=True):
        if value is not None and not isinstance(value, Number):
            _point(buffer, at + offset, _put(buffer, value))
    return at


def _point(buffer: bytearray, slot: int, target: int) -> None:
    _UNSIGNED.pack_into(buffer, slot, target - slot)


def _pad(buffer: bytearray, size: int) -> None:
    buffer += bytes(-len(buffer) % size)
