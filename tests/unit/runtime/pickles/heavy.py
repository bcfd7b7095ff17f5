"""Attack files that want more memory or time than they are worth, and files that end too early."""

import bz2
import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Callable

import joblib
import numpy as np

from tests.unit.runtime.pickles.opcodes import (
    FLOATS,
    OBJECTS,
    SCALER,
    array,
    blob,
    call,
    dtype,
    dtype_state,
    name,
    number,
    row,
    whole,
    wrapper,
)

_HUGE = 2**62


def _spread() -> bytes:
    return array(row(number(10**9)), OBJECTS, b"]")


def _zeros() -> bytes:
    opened = io.BytesIO()
    joblib.dump(np.zeros(2_500_000), opened, compress=("zlib", 9))
    return opened.getvalue()


def _packed_zeros() -> bytes:
    packer, piece, count = zlib.compressobj(9), b"\0" * 1_000_000, 300
    parts = [packer.compress(b"\x80\x04B" + struct.pack("<I", count * len(piece)))]
    parts += [packer.compress(piece) for _ in range(count)]
    return b"".join((*parts, packer.compress(b"."), packer.flush()))


# Written one at a time: some take a second, and nobody needs them all at once.
FILES: dict[str, Callable[[], bytes]] = {
    "a text of 2^62 bytes": lambda: whole(b"\x8d" + struct.pack("<Q", _HUGE) + b"x"),
    "bytes of 2^62": lambda: whole(b"\x8e" + struct.pack("<Q", _HUGE) + b"x"),
    "a bytearray of 2^62": lambda: whole(b"\x96" + struct.pack("<Q", _HUGE) + b"x"),
    "bytes of 3 GB that aren't there": lambda: whole(b"B" + struct.pack("<I", 3_000_000_000) + b"x"),
    "a number of 2 GB": lambda: whole(b"\x8b" + struct.pack("<I", 2_000_000_000) + b"\1"),
    "a number of negative length": lambda: whole(b"\x8b\xff\xff\xff\xff\1"),
    "a frame of 2^63 bytes": lambda: whole(b"\x95" + struct.pack("<Q", 2**63) + b"N"),
    "a frame longer than the file": lambda: whole(b"\x95" + struct.pack("<Q", 2_000_000_000) + b"N"),
    "a place in the memo at 2^31": lambda: whole(b"Nr\xff\xff\xff\x7f"),
    "a place in the memo of 300 digits": lambda: whole(b"Np" + b"9" * 300 + b"\n"),
    "a number of a million digits": lambda: whole(b"L" + b"9" * 1_000_000 + b"L\n"),
    "a fraction of a million digits": lambda: whole(b"F" + b"9" * 1_000_000 + b"\n"),
    "a name of a million letters": lambda: whole(b"c" + b"x" * 1_000_000 + b"\ny\n"),
    "a text without an end": lambda: whole(b"V" + b"x" * 1_000_000),
    "lists, two million": lambda: whole(b"(" + b"]" * 2_000_000 + b"t"),
    "sets, a million": lambda: whole(b"(" + b"\x8f" * 1_000_000 + b"t"),
    "marks, 700,000": lambda: whole(b"(" * 700_000 + b"N"),
    "objects, half a million": lambda: whole(
        name(*SCALER.rsplit(".", 1)) + b"\x940(" + b"h\x00)\x81" * 500_000 + b"t"
    ),
    "tuples within tuples, a million": lambda: whole(b")" + b"\x85" * 1_000_000),
    "tuples within tuples as a key": lambda: whole(b"})" + b"\x85" * 300_000 + b"Ns"),
    "lists within lists, 300,000": lambda: whole(b"]" * 300_000 + b"a" * 299_999),
    "laughter: tuples that hold each other twice": lambda: whole(
        b"N\x85\x94"
        + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(90))
        + b"}h\x5aNs"
    ),
    "keys of the same hash": lambda: whole(
        b"}("
        + b"".join(b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(1, 60_000))
        + b"u"
    ),
    "tuples as keys, a hundred thousand": lambda: whole(
        b"}(" + b"".join(number(k) + b"\x85N" for k in range(100_000)) + b"u"
    ),
    "an array of a thousand million objects": lambda: whole(_spread()),
    "an array of joblib's of 2^62 bytes": lambda: whole(
        wrapper(row(b"\x8a\x08" + (2**59).to_bytes(8, "little")), FLOATS)
    ),
    "an array of joblib's of -1": lambda: whole(wrapper(row(number(-1)), FLOATS)),
    "an array of joblib's of many dimensions": lambda: whole(wrapper(row(*[number(2)] * 70), FLOATS)),
    "an array of joblib's of a thousand million objects": lambda: whole(
        wrapper(row(number(10**9)), OBJECTS) + whole(_spread())
    ),
    "an array that reconstructs at a size": lambda: whole(
        call(
            name("numpy._core.multiarray", "_reconstruct"),
            name("numpy", "ndarray"),
            row(number(2 * 10**9)),
            blob(b"b"),
        )
    ),
    "a scalar of 2 GB": lambda: whole(call(name("numpy._core.multiarray", "scalar"), dtype("V2000000000"))),
    "a dtype of 2 GB": lambda: whole(dtype("V2000000000")),
    "a text of NumPy with 2 GB": lambda: whole(
        array(row(number(1)), dtype("U1", dtype_state("<", size=2_000_000_000, flags=8)), blob(b""))
    ),
    "a bytearray by its size": lambda: whole(call(name("builtins", "bytearray"), number(2_000_000_000))),
    "bytes by their size": lambda: whole(call(name("builtins", "bytes"), number(2_000_000_000))),
    "a set of a range": lambda: whole(
        call(
            name("builtins", "set"),
            call(name("builtins", "range"), number(0), number(2_000_000_000), number(1)),
        )
    ),
    "a deque of a range": lambda: whole(
        call(
            name("collections", "deque"),
            call(name("builtins", "range"), number(0), number(2_000_000_000), number(1)),
            b"N",
        )
    ),
    "a counter of a range": lambda: whole(
        call(
            name("collections", "Counter"),
            call(name("builtins", "range"), number(0), number(2_000_000_000), number(1)),
        )
    ),
    "zeros, 300 MB in zlib": _packed_zeros,
    "zeros, 200 MB in xz": lambda: lzma.compress(
        whole(b"B" + struct.pack("<I", 200_000_000))[:-1] + b"\0" * 200_000_000 + b".", preset=1
    ),
    "zeros, 200 MB in bz2": lambda: bz2.compress(
        whole(b"B" + struct.pack("<I", 200_000_000))[:-1] + b"\0" * 200_000_000 + b".", 1
    ),
    "lists, forty million in gzip": lambda: gzip.compress(whole(b"(" + b"]" * 40_000_000 + b"t"), 1),
    "an array of zeros of 20 MB in zlib": _zeros,
    "a dictionary of 4 GB for xz": lambda: b"\xfd7zXZ\x00" + lzma.compress(b"x" * 100)[6:24] + b"\0" * 60,
    "a dictionary of 4 GB for lzma": lambda: b"\x5d\x00\x00\x00\xff" + b"\xff" * 8 + b"\0" * 60,
    "cut off within zlib": lambda: zlib.compress(whole(blob(bytes(range(256)) * 100)))[:60],
    "cut off within xz": lambda: lzma.compress(whole(blob(bytes(range(256)) * 100)))[:60],
    "cut off within gzip": lambda: gzip.compress(whole(blob(bytes(range(256)) * 100)))[:60],
    "cut off within a number": lambda: b"\x80\x04J\x01",
    "cut off within a name": lambda: b"\x80\x04csklearn.svm._cla",
    "cut off within joblib's array": lambda: whole(wrapper(row(number(100)), FLOATS) + b"\0" * 80)[:-1],
    "nothing but a protocol": lambda: b"\x80\x04",
    "nothing but a stop": lambda: b".",
    "a mark that is left": lambda: whole(b"(N"),
}
