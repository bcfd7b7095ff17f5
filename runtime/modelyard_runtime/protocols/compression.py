"""Compressed bodies: taken apart within a bound, and written where the caller accepts it and it is worth its time.

Called by `http.inference`. Pure. What a body says about its own size is never believed: no more than the limit is ever
unpacked, whatever was promised.
"""

import zlib

import zstandard

from modelyard_runtime import errors

WORTHWHILE_BYTES = 1024  # a smaller answer travels in one packet either way
_WBITS = {b"gzip": 31, b"deflate": 15}
# What every decoder of zstd has to hold (RFC 8878); a frame that wants a larger window is refused.
_MAX_WINDOW_BYTES = 8 * 1024**2
_CHEAP = 1  # level: the answers are numbers, and higher levels find little more in them


def decompress(body: bytes, encoding: bytes, limit_bytes: int) -> bytes:
    """Gives the body behind a Content-Encoding.

    Raises `TooLarge` beyond the limit, `InvalidInput` for what is damaged or cut off, `UnsupportedMedia` for an
    encoding that is not known.
    """
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name in (b"gzip", b"x-gzip", b"deflate"):
        return _inflate(body, _WBITS[name.removeprefix(b"x-")], name.decode(), limit_bytes)
    if name == b"zstd":
        return _unpack_zstd(body, limit_bytes)
    shown = encoding[:80].decode("latin-1")
    raise errors.UnsupportedMedia(
        f"the content encoding {shown!r} is not taken; send the body as it is, or in gzip, deflate or zstd"
    )


def accepted(accept_encoding: bytes | None) -> bytes | None:
    """Gives the encoding to answer in, or None for none."""
    if accept_encoding is None:
        return None
    for item in accept_encoding.lower().split(b","):
        name, _, parameters = item.partition(b";")
        # Clients that don't want one leave it out; the few that say so weigh it with zero.
        _, stated, weight = parameters.partition(b"q=")
        refused = stated and not weight.strip(b" 0.")
        if name.strip() in (b"zstd", b"gzip") and not refused:
            return name.strip()
    return None


def compress(body: bytes, encoding: bytes) -> bytes:
    """Gives the body in an encoding that `accepted` gave."""
    if encoding == b"zstd":
        return zstandard.ZstdCompressor(level=_CHEAP).compress(body)
    writer = zlib.compressobj(level=_CHEAP, wbits=_WBITS[encoding])
    return writer.compress(body) + writer.flush()


def _inflate(body: bytes, wbits: int, name: str, limit_bytes: int) -> bytes:
    unpacked: list[bytes] = []
    left_bytes = limit_bytes
    rest = body
    while True:  # a gzip body may be several, one after the other
        reader = zlib.decompressobj(wbits=wbits)
        try:
            part = reader.decompress(rest, left_bytes + 1)
        except zlib.error:
            raise errors.InvalidInput(f"the body is not valid {name}") from None
        if len(part) > left_bytes:
            raise _too_large(limit_bytes)
        if not reader.eof:
            raise _cut_off(name)
        unpacked.append(part)
        left_bytes -= len(part)
        rest = reader.unused_data
        if not rest:
            return b"".join(unpacked)


def _unpack_zstd(body: bytes, limit_bytes: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    try:
        # The reader is bounded but does not tell whether the frame was whole; the second one is not bounded but tells,
        # and by then it is known how much will come out.
        with unpacker.stream_reader(body) as reader:
            if len(reader.read(limit_bytes + 1)) > limit_bytes:
                raise _too_large(limit_bytes)
        whole = unpacker.decompressobj()
        unpacked = whole.decompress(body)
    except zstandard.ZstdError:
        raise errors.InvalidInput(
            "the body is not valid zstd, or wants a window of more than 8 MiB"
        ) from None
    if not whole.eof:
        raise _cut_off("zstd")
    if whole.unused_data:
        raise errors.InvalidInput("bytes follow the zstd frame of the body; send one frame")
    return unpacked


def _too_large(limit_bytes: int) -> errors.TooLarge:
    return errors.TooLarge(
        f"the uncompressed body has more than {limit_bytes} bytes; send fewer rows per request"
    )


def _cut_off(name: str) -> errors.InvalidInput:
    return errors.InvalidInput(f"the body breaks off within its {name} data")
