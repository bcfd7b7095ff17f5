"""NumPy's .npy files, read where they lie and never unpickled.

Called by `protocols.files`. Pure. The header's shape is a claim: it has to fit the bytes that are there.
"""

import io
import math
from typing import Any

import numpy as np
import numpy.lib.format
import numpy.typing as npt

from modelyard_runtime import errors


def read(body: bytes) -> npt.NDArray[Any]:
    """Gives the array in a .npy file, without a copy if possible; raises `InvalidInput`."""
    stream = io.BytesIO(body)
    try:
        version = numpy.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, is_fortran, dtype = numpy.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, is_fortran, dtype = numpy.lib.format.read_array_header_2_0(stream)
        else:
            raise errors.InvalidInput("the .npy file has another version than 1.0 and 2.0")
    except (ValueError, TypeError, KeyError, SyntaxError, RecursionError, MemoryError, OverflowError):
        # What NumPy raises for a damaged header; it evaluates literals only.
        raise errors.InvalidInput("the body is not a .npy file; write one with numpy.save") from None
    if dtype.kind not in "biufUS" or dtype.itemsize == 0 or (dtype.itemsize > 8 and dtype.kind == "f"):
        raise errors.InvalidInput(
            f"the .npy file holds {str(dtype)[:60]}, which is not taken; send numbers, booleans or text"
        )
    offset = stream.tell()
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(body) - offset:
        raise errors.InvalidInput(
            f"the .npy file states the shape {str(shape)[:80]} of {dtype}, but has {len(body) - offset} bytes of data"
        )
    if len(shape) > 32:
        raise errors.InvalidInput(f"the .npy file has {len(shape)} dimensions; at most 32 are taken")
    array = np.frombuffer(body, dtype=dtype, offset=offset) if len(body) > offset else np.empty(0, dtype)
    array = array.reshape(shape, order="F" if is_fortran else "C")
    if dtype.kind == "S":
        return _as_text(array)
    native = dtype.newbyteorder("=")
    try:
        return array if array.flags.aligned and dtype == native else array.astype(native)
    except ValueError:  # text that is no text
        raise errors.InvalidInput("the .npy file holds text that is not Unicode") from None


def write(array: npt.NDArray[Any]) -> bytes:
    """Gives an array as a .npy file; text is written as NumPy's own, which needs no pickle to be read."""
    if array.dtype.kind == "O":
        array = np.array([str(value) for value in array.flat], dtype=np.str_).reshape(array.shape)
    stream = io.BytesIO()
    numpy.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()


def _as_text(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    try:
        return np.array([bytes(value).decode() for value in array.flat], dtype=np.object_).reshape(
            array.shape
        )
    except UnicodeDecodeError:
        raise errors.InvalidInput("the .npy file holds bytes that are not UTF-8") from None
