"""A pickle file as a stream of bytes that can be read twice, uncompressed on the way and never beyond a bound.

`loader` opens one file, has it checked and then loaded from the same descriptor, so that both see the same bytes.
joblib compresses whole files; what it writes is told from the first bytes, as joblib tells it.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from modelyard_runtime.formats.pickles import refusal

# What a file may need: this much, and this many times its own size. A dictionary of words needs eleven times its
# pickle's bytes, which compress to a third.
SPARE_BYTES = 64 * 1024**2
RATIO = 32
# Files that unpack to no more are unpacked once and kept, for the second reading.
_KEPT_BYTES = 64 * 1024**2
_CHUNK = 256 * 1024
_LZMA_BYTES = 128 * 1024**2  # xz -9 needs 65 MiB to unpack


class _Decompressor(Protocol):
    """What the standard library's decompressors have in common, zlib's aside."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the manners of the others: it keeps what it has not unpacked yet."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)
        self._tail = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._tail and not self._inner.eof

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        found = self._inner.decompress(self._tail + data, max_length)
        self._tail = self._inner.unconsumed_tail
        return found


_COMPRESSIONS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x78", lambda: _Zlib(zlib.MAX_WBITS)),
    (b"\x1f\x8b", lambda: _Zlib(zlib.MAX_WBITS | 16)),
    (b"BZ", bz2.BZ2Decompressor),
    (b"\x5d\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _LZMA_BYTES)),
    (b"\xfd7zXZ", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_BYTES)),
)
_LZ4 = b"\x04\x22\x4d\x18"
_OLD_JOBLIB = b"ZF"


class _Unpacked(io.RawIOBase):
    """The uncompressed bytes of a file, at most `limit` of them."""

    def __init__(self, packed: BinaryIO, decompressor: _Decompressor, limit: int) -> None:
        self._packed = packed
        self._decompressor = decompressor
        self._limit = limit
        self._position = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, target: Any) -> int:
        found = b""
        while not found and not self._decompressor.eof:
            data = self._packed.read(_CHUNK) if self._decompressor.needs_input else b""
            if not data and self._decompressor.needs_input:
                raise refusal.Damaged("its compressed bytes end early")
            found = self._decompressor.decompress(data, len(target))
        if not found and (self._decompressor.unused_data or self._packed.read(1)):
            raise refusal.Refused("something follows the end of its compressed bytes")
        self._position += len(found)
        if self._position > self._limit:
            raise refusal.Refused(
                f"it unpacks to more than {self._limit // 1024**2} MiB, which is over {RATIO} times its size; "
                "save it with less compression, joblib.dump(model, file)"
            )
        target[: len(found)] = found
        return len(found)


class Stream:
    """The bytes of an open pickle, for reading in order; close it when both readings are done."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("rb")
        self.size = file.stat().st_size
        self.limit = SPARE_BYTES + RATIO * self.size
        try:
            self._make = self._compression()
            self._kept: io.BytesIO | None = None
            self._kept = None if self._make is None else self._unpack_small()
            self.rewind()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def rewind(self) -> None:
        """Begins again at the first byte."""
        self._file.seek(0)
        self.handle: Any = self._file
        if self._kept is not None:
            self._kept.seek(0)
            self.handle = self._kept
        elif self._make is not None:
            self.handle = io.BufferedReader(_Unpacked(self._file, self._make(), self.limit), _CHUNK)
        self.read: Callable[[int], bytes] = self.handle.read

    def take(self, count: int) -> bytes:
        """Gives exactly `count` bytes; for counts that were found small."""
        found = self.read(count)
        if len(found) != count:
            raise refusal.Damaged("it ends early")
        return found

    def skip(self, count: int) -> None:
        """Passes over `count` bytes, however many they are, without keeping them."""
        if self._make is None:
            position = self.handle.tell() + count
            if position > self.size:
                raise refusal.Damaged("it ends early")
            self.handle.seek(position)
            return
        while count:
            count -= len(self.take(min(count, _CHUNK)))

    def line(self, longest: int) -> bytes:
        """Gives what is before the next line feed, which is at most `longest` bytes away."""
        found: bytes = self.handle.readline(longest + 1)
        if found.endswith(b"\n"):
            return found[:-1]
        if len(found) > longest:
            raise refusal.Refused(f"one of its lines is longer than {longest} bytes")
        raise refusal.Damaged("it ends early")

    def pass_line(self) -> tuple[bytes, int]:
        """Passes over what is before the next line feed; gives how it begins and how long it is."""
        first = piece = self.handle.readline(_CHUNK)
        count = 0
        while piece and not piece.endswith(b"\n"):
            count += len(piece)
            piece = self.handle.readline(_CHUNK)
        if not piece:
            raise refusal.Damaged("it ends early")
        return first.rstrip(b"\n"), count + len(piece) - 1

    def is_beyond(self, position: int) -> bool:
        """Says whether a position is known to be behind the end; of a large compressed file the end isn't known."""
        if self._kept is not None:
            return position > self._kept.getbuffer().nbytes
        return self._make is None and position > self.size

    @property
    def position(self) -> int:
        """How many bytes were passed."""
        return int(self.handle.tell())

    def _compression(self) -> Callable[[], _Decompressor] | None:
        head = self._file.read(8)
        if head.startswith(_OLD_JOBLIB):
            raise refusal.Refused("it was written by a joblib older than 0.10; save it again with this one")
        if head.startswith(_LZ4):
            raise refusal.Refused(
                "it is compressed with lz4, which isn't checked; use zlib: joblib.dump(…, compress=3)"
            )
        return next((make for mark, make in _COMPRESSIONS if head.startswith(mark)), None)

    def _unpack_small(self) -> io.BytesIO | None:
        self.rewind()
        found = io.BytesIO()
        while found.tell() < _KEPT_BYTES:
            piece = self.read(_CHUNK)
            if not piece:
                return found
            found.write(piece)
        return None
