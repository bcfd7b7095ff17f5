"""Compressed bodies come out whole or not at all, and never larger than the limit."""

import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import hypothesis
import hypothesis.strategies as st
import pytest
import zstandard

from modelyard_runtime import errors
from modelyard_runtime.protocols import compression

LIMIT = 100_000
PACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"zstd": lambda body: zstandard.ZstdCompressor().compress(body),
}
BODY = b'{"X": [[1, 2]]}' * 100


def _zstd_of_unknown_size(body: bytes) -> bytes:
    writer = zstandard.ZstdCompressor().compressobj()
    return writer.compress(body) + writer.flush()


@pytest.mark.parametrize("encoding", PACK)
def test_a_body_comes_out_whole(encoding: bytes) -> None:
    packed = PACK[encoding](BODY)
    assert compression.decompress(packed, encoding, LIMIT) == BODY
    assert compression.decompress(packed, b" " + encoding.upper(), len(BODY)) == BODY
    with pytest.raises(errors.TooLarge, match=str(len(BODY) - 1)):
        compression.decompress(packed, encoding, len(BODY) - 1)
    for cut in range(len(packed)):
        with pytest.raises(errors.InvalidInput):
            compression.decompress(packed[:cut], encoding, LIMIT)


def test_what_may_come_in_parts_or_without_a_size() -> None:
    assert compression.decompress(gzip.compress(b"a") + gzip.compress(b"b"), b"x-gzip", LIMIT) == b"ab"
    assert compression.decompress(_zstd_of_unknown_size(BODY), b"zstd", LIMIT) == BODY
    assert compression.decompress(BODY, b"identity", 1) == BODY


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        (b"gzip", gzip.compress(bytes(200_000_000), 9)),
        (b"deflate", zlib.compress(bytes(200_000_000), 9)),
        (b"zstd", PACK[b"zstd"](bytes(200_000_000))),
        (b"zstd", _zstd_of_unknown_size(bytes(200_000_000))),
    ],
    ids=["gzip", "deflate", "zstd", "zstd of unknown size"],
)
def test_a_bomb_is_refused_without_going_off(encoding: bytes, bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(errors.TooLarge):
            compression.decompress(bomb, encoding, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_a_window_that_nobody_has_to_hold_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(errors.InvalidInput, match="8 MiB"):
        compression.decompress(writer.compress(b"a") + writer.flush(), b"zstd", LIMIT)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, None), (b"", None), (b"br", None), (b"gzip, deflate, br, zstd", b"gzip"), (b"ZSTD", b"zstd"),
        (b"br, gzip;q=0.5", b"gzip"), (b"gzip;q=0, zstd", b"zstd"), (b"gzip; q=0.000", None), (b"*", None),
    ],
)  # fmt: skip
def test_answers_are_packed_as_the_caller_accepts(accept: bytes | None, expected: bytes | None) -> None:
    assert compression.accepted(accept) == expected
    if expected is not None:
        assert compression.decompress(compression.compress(BODY, expected), expected, LIMIT) == BODY


@hypothesis.given(
    st.binary(max_size=80), st.sampled_from([b"gzip", b"deflate", b"zstd", b"br"]), st.booleans()
)
def test_any_bytes_are_a_body_or_a_refusal(body: bytes, encoding: bytes, begins_well: bool) -> None:
    start = PACK[encoding](BODY)[:20] if begins_well and encoding in PACK else b""
    with contextlib.suppress(errors.InvalidInput, errors.TooLarge, errors.UnsupportedMedia):
        assert len(compression.decompress(start + body, encoding, LIMIT)) <= LIMIT
