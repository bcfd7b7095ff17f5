"""The Open Inference Protocol's binary tensors: raw bytes behind the JSON, both ways.

Called by `protocols.v2`. Pure. Little-endian, row-major, no padding; texts are preceded by their length in four bytes.
A stated size is a claim: it has to be there before anything is read.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard_runtime import errors, schemas
from modelyard_runtime.formats import model as models
from modelyard_runtime.protocols import tensors

HEADER = b"inference-header-content-length"

_LENGTH = struct.Struct("<I")
_BF16 = np.dtype("<u2")


def json_bytes(stated: bytes, body: bytes) -> int:
    """Gives how many bytes of the body are JSON, as the header says; raises `InvalidInput`."""
    # int() takes signs, blanks and underscores; a length has none.
    if not stated.isdigit() or len(stated) > 20 or int(stated) > len(body):
        shown = stated[:40].decode("latin-1")
        raise errors.InvalidInput(
            f"Inference-Header-Content-Length is {shown!r}, but the body has {len(body)} bytes"
        )
    return int(stated)


class Tail:
    """The bytes behind the JSON, taken tensor by tensor in the order of the inputs."""

    def __init__(self, body: bytes, start: int) -> None:
        self._body = body
        self._position = start

    def take(self, tensor: schemas.InferInput, size: int) -> npt.NDArray[Any]:
        """Gives the next tensor of `size` bytes, without a copy where its place allows; raises `InvalidInput`."""
        where = tensors.place(tensor)
        left = len(self._body) - self._position
        if size > left:
            raise errors.InvalidInput(f"{where} states binary_data_size {size}, but {left} bytes are left")
        if tensor.data is not schemas.NO_DATA:
            raise errors.InvalidInput(f"{where} has both `data` and `binary_data_size`; send one of them")
        tensors.check_rank(tensor.shape, where)
        start, self._position = self._position, self._position + size
        array = read(self._body, start, size, tensor.datatype, where)
        tensors.check_size(array.size, tensor.shape, where)
        return array.reshape(tensor.shape)

    def end(self) -> None:
        """Raises `InvalidInput` when bytes are left that no tensor speaks of."""
        left = len(self._body) - self._position
        if left:
            raise errors.InvalidInput(
                f"{left} bytes follow the last tensor; state each one's binary_data_size"
            )


def size_of(tensor: schemas.InferInput) -> int | None:
    """Gives the tensor's `binary_data_size`, or None when it is in the JSON; raises `InvalidInput`."""
    if tensor.parameters is None:
        return None
    for name in tensor.parameters:
        if name.startswith("shared_memory"):
            raise errors.InvalidInput(f"{tensors.place(tensor)}: shared memory is not offered; send the data")
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise errors.InvalidInput(f"{tensors.place(tensor)}: binary_data_size is not a number of bytes")
    return size


def read(body: bytes, start: int, size: int, datatype: str, where: str) -> npt.NDArray[Any]:
    """Gives `size` bytes of the body as a flat array of the datatype; raises `InvalidInput`."""
    if datatype == "BYTES":
        return _read_texts(body, start, start + size, where)
    dtype = _dtype(datatype)
    if dtype is None:
        known = ", ".join([*tensors.DTYPES, "FP16", "BF16"])
        raise errors.InvalidInput(f"{where} has the datatype {datatype[:40]!r}; it can be {known}")
    if size % dtype.itemsize:
        raise errors.InvalidInput(f"{where} has {size} bytes, which are no whole number of {datatype}")
    if size == 0:
        return np.empty(0, dtype if datatype != "BF16" else np.float32)
    if datatype == "BOOL":
        # A byte that is neither 0 nor 1 is true, as everywhere.
        return np.frombuffer(body, np.uint8, size, start).astype(np.bool_)
    array = np.frombuffer(body, dtype, size // dtype.itemsize, start)
    if datatype == "BF16":
        return (array.astype("<u4") << 16).view("<f4")
    return array if array.flags.aligned else array.copy()


def write(array: npt.NDArray[Any]) -> tuple[str, bytes]:
    """Gives the datatype of an output and its bytes."""
    datatype = models.datatype_of(array.dtype)
    if datatype != "BYTES":
        return datatype, array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    parts: list[bytes] = []
    for value in array.ravel().tolist():
        text = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        parts += (_LENGTH.pack(len(text)), text)
    return datatype, b"".join(parts)


def join(header: bytes, parts: Sequence[bytes]) -> bytes:
    """Gives the body of a response: JSON, then the tensors in the order of the outputs."""
    return b"".join((header, *parts))


def _dtype(datatype: str) -> "np.dtype[Any] | None":
    if datatype == "BF16":
        return _BF16
    if datatype == "FP16":
        return np.dtype("<f2")
    dtype = tensors.DTYPES.get(datatype)
    return None if dtype is None else dtype.newbyteorder("<")


def _read_texts(body: bytes, start: int, end: int, where: str) -> npt.NDArray[Any]:
    texts: list[str] = []
    while start < end:
        if end - start < _LENGTH.size:
            raise errors.InvalidInput(f"{where} breaks off within the length of element {len(texts)}")
        (length,) = _LENGTH.unpack_from(body, start)
        start += _LENGTH.size
        if length > end - start:
            raise errors.InvalidInput(
                f"{where}: element {len(texts)} states {length} bytes, but {end - start} are left"
            )
        try:
            texts.append(body[start : start + length].decode())
        except UnicodeDecodeError:
            raise errors.InvalidInput(f"{where}: element {len(texts)} is not UTF-8") from None
        start += length
    array = np.empty(len(texts), dtype=np.object_)
    array[:] = texts
    return array
