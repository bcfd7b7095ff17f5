"""The uncompressed bytes of a compressed tar, in bounded pieces.

Called by `artifact.archives.unpacking`, and for the layers of an image. What a decompressor finds wrong becomes
a refusal in words.
"""

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import IO, cast

import zstandard

from modelyard_runtime.artifact.archives import kinds, limits

_MAX_WINDOW_BYTES = 128 * 1024**2  # what zstd's own program takes without being asked (--long=27)


@contextlib.contextmanager
def reading(kind: kinds.Kind, file: IO[bytes]) -> Iterator[Callable[[int], bytes]]:
    """Gives a `read(n)` of the uncompressed bytes; it raises `StartFailure` (ArchiveRefused) for a damaged file."""
    if kind is kinds.Kind.TAR:
        yield file.read
        return
    opened: IO[bytes]
    if kind is kinds.Kind.TAR_GZ:
        opened = cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="rb"))
    else:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
        opened = cast(IO[bytes], decompressor.stream_reader(file, read_across_frames=True, closefd=False))

    def read(size_bytes: int) -> bytes:
        try:
            return opened.read(size_bytes)
        except (gzip.BadGzipFile, zlib.error, EOFError, zstandard.ZstdError):
            raise limits.damage(f"its {kind.value} compression is damaged, or it is no such file") from None

    with opened:
        yield read
