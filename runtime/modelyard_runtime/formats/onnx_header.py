"""Who wrote an ONNX file and for which operator sets: the few fields around its graph, which is skipped.

Called by `formats.onnx` for metadata and messages. ONNX Runtime does not tell the operator sets, and importing `onnx`
to read four numbers costs memory for as long as the process lives. It must never allocate what the file claims to hold.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

_SMALL = 4096  # bytes of the longest field that is looked at
_FAR = 2**40  # beyond the end of any file
# Fields of onnx.proto's ModelProto and OperatorSetIdProto, and protobuf's wire types.
_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _OPSETS = 1, 2, 3, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Header(msgspec.Struct, frozen=True):
    """What an ONNX file says about itself; `opsets` are written as "ai.onnx 21"."""

    ir_version: int = 0
    producer: str = ""
    opsets: tuple[str, ...] = ()


def read(file: Path) -> Header:
    """Gives the header of a file; of one that is damaged, what could be read."""
    ir_version, names, opsets = 0, {_PRODUCER: "", _PRODUCER_VERSION: ""}, []
    with file.open("rb") as opened:
        for field, value in _fields(opened):
            if field == _IR_VERSION and isinstance(value, int):
                ir_version = value
            elif field in names and isinstance(value, bytes):
                names[field] = value.decode("utf-8", "replace")
            elif field == _OPSETS and isinstance(value, bytes):
                opset = dict(_fields(io.BytesIO(value)))
                domain, version = opset.get(_OPSET_DOMAIN, b""), opset.get(_OPSET_VERSION, 0)
                if isinstance(domain, bytes) and isinstance(version, int):
                    opsets.append(f"{domain.decode('utf-8', 'replace') or 'ai.onnx'} {version}")
    return Header(ir_version, f"{names[_PRODUCER]} {names[_PRODUCER_VERSION]}".strip(), tuple(sorted(opsets)))


def _fields(source: BinaryIO) -> Iterator[tuple[int, int | bytes]]:
    """Gives the fields of a protobuf message that are numbers or short, until its end or the first nonsense."""
    while (key := _varint(source)) is not None:
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            if (number := _varint(source)) is None:
                return
            yield field, number
        elif wire in (_FIXED64, _FIXED32):
            source.seek(8 if wire == _FIXED64 else 4, io.SEEK_CUR)
        elif wire == _BYTES and (length := _varint(source)) is not None:
            if length > _SMALL:
                source.seek(min(length, _FAR), io.SEEK_CUR)
            else:
                yield field, source.read(length)
        else:
            return


def _varint(source: BinaryIO) -> int | None:
    """Gives the next number in protobuf's variable length, at most ten bytes; None at the end or for a longer one."""
    number = 0
    for shift in range(0, 70, 7):
        byte = source.read(1)
        if not byte:
            return None
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return number
    return None
