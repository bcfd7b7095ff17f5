"""Arrow's IPC streams → arrays by column: the schema, dictionaries and record batches of one body.

Called by `protocols.arrow_stream`. Pure. A stream is Arrow's own framing around flatbuffers (`arrow.flatbuffer`) and
the columns' buffers (`arrow.buffers`). Whatever a body claims is a table or a refusal, in memory that its size bounds.
"""

import struct
from collections.abc import Iterator

import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.protocols.arrow import buffers, flatbuffer, schema

Columns = list[tuple[str, buffers.Array]]

_PREFIX = struct.Struct("<Ii")
_CONTINUATION = 0xFFFFFFFF
_FILE_MAGIC = b"ARROW1"
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # of the enumeration `MessageHeader` in Message.fbs
_MOST_CELLS = 2**23  # of a table that has fewer bytes than cells: truths take a bit, missing columns nothing


def read(body: bytes, features: int | None) -> Columns:
    """Gives the columns of a stream by name, in its order; raises `InvalidInput`.

    `features` is how many the model takes, if it says so.
    """
    try:
        return _read(body, features)
    except flatbuffer.Damaged as error:
        raise errors.InvalidInput(f"the Arrow stream can't be read: {error}") from None


def _read(body: bytes, features: int | None) -> Columns:
    messages = _messages(body)
    kind, header, _ = next(messages, (0, None, memoryview(b"")))
    if kind != _SCHEMA or header is None:
        raise flatbuffer.Damaged("it doesn't begin with a schema")
    columns = schema.parse(header, features)
    dictionaries: dict[int, buffers.Array] = {}
    parts: list[list[buffers.Array]] = []
    rows = 0
    for kind, header, content in messages:
        if kind == _DICTIONARY:
            _learn(header, content, columns, dictionaries)
            continue
        if kind != _BATCH:
            raise flatbuffer.Damaged("it has a message that is neither a dictionary nor a record batch")
        batch = buffers.Batch(header, content)
        rows += _checked(batch.rows)
        _check_cells(rows, columns, len(body))
        if batch.rows:
            parts.append([batch.values(column, dictionaries) for column in columns])
    if not parts:
        raise errors.InvalidInput("the Arrow stream has no rows; send at least one")
    if len(parts) == 1:
        return [(column.name, values) for column, values in zip(columns, parts[0], strict=True)]
    return [
        (column.name, np.concatenate(pieces))
        for column, pieces in zip(columns, zip(*parts, strict=True), strict=True)
    ]


def _messages(body: bytes) -> Iterator[tuple[int, flatbuffer.Table, memoryview]]:
    """Gives each message's kind, header and content."""
    if body.startswith(_FILE_MAGIC):
        raise flatbuffer.Damaged("it is an Arrow file; write a stream (pyarrow.ipc.new_stream)")
    at, view = 0, memoryview(body)
    while at < len(body):
        if len(body) - at < _PREFIX.size:
            raise flatbuffer.Damaged("it ends within a message")
        mark, size = _PREFIX.unpack_from(body, at)
        if mark != _CONTINUATION:
            raise flatbuffer.Damaged("there is no message where one should begin")
        at += _PREFIX.size
        if size == 0:
            break  # the end of the stream
        if size < 0 or size > len(body) - at:
            raise flatbuffer.Damaged("it ends within a message")
        message = flatbuffer.root(body[at : at + size])
        header = message.table(2)
        length = message.number(3, "q")
        at += size
        if header is None or length < 0 or length > len(body) - at:
            raise flatbuffer.Damaged("it ends within a message")
        yield message.number(1, "B"), header, view[at : at + length]
        at += length
    if at < len(body):
        raise flatbuffer.Damaged(f"{len(body) - at} bytes follow its end")


def _learn(
    header: flatbuffer.Table,
    content: memoryview,
    columns: tuple[schema.Column, ...],
    dictionaries: dict[int, buffers.Array],
) -> None:
    """Takes in a dictionary, which replaces the one before."""
    identity = header.number(0, "q")
    entries = next((one.entries for one in columns if one.entries and one.dictionary == identity), None)
    data = header.table(1)
    if entries is None or data is None:
        raise flatbuffer.Damaged("it has a dictionary that no column uses")
    batch = buffers.Batch(data, content)
    if header.number(2, "?"):
        # Thousands of them would be copied thousands of times.
        raise flatbuffer.Damaged("it adds to a dictionary, which is not taken; send dictionaries whole")
    dictionaries[identity] = batch.values(entries, {}) if _checked(batch.rows) else np.empty(0, object)


def _checked(rows: int) -> int:
    if rows < 0:
        raise flatbuffer.Damaged("a record batch of it has a negative length")
    return rows


def _check_cells(rows: int, columns: tuple[schema.Column, ...], size: int) -> None:
    if not columns:
        raise errors.InvalidInput("the Arrow stream has no columns")
    cells = rows * len(columns)
    if cells > max(size, _MOST_CELLS):
        raise errors.InvalidInput(
            f"the Arrow stream states {cells} values in {size} bytes; send fewer rows at once"
        )
