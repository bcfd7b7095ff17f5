"""Archives byte by byte, as no program would write them.

Used by `archive_corpus` and the tests of unpacking.
"""

import io
import zipfile
import zlib

MIB = 1024**2
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"  # the marks within a ZIP file


def header(name: str = "f", kind: bytes = b"0", size: int = 0, link: str = "", mode: int = 0o644) -> bytes:
    """Gives one block of a tar, as whoever wants to harm would write it."""
    block = bytearray(512)
    block[0:100] = name.encode("utf-8", "surrogateescape")[:100].ljust(100, b"\0")
    block[100:124] = b"%07o\0%07o\0%07o\0" % (mode, 0, 0)
    block[124:136] = b"%011o\0" % size if size >= 0 else b"\xff" * 12
    block[136:148] = b"%011o\0" % 0
    block[156:157] = kind
    block[157:257] = link.encode()[:100].ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    return bytes(block)


def file(name: str, content: bytes = b"x", **changes: object) -> bytes:
    """Gives one file of a tar: header, content, padding."""
    return header(name, size=len(content), **changes) + padded(content)  # type: ignore[arg-type]


def padded(content: bytes) -> bytes:
    """Gives whole blocks."""
    return content + bytes(-len(content) % 512)


def tar(*parts: bytes) -> bytes:
    """Gives a tar of finished parts with its end."""
    return b"".join(parts) + bytes(1024)


def pax(kind: bytes = b"x", **fields: str) -> bytes:
    """Gives an extension header with the fields."""
    body = b""
    for key, value in fields.items():
        text = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(text) + 1
        while len(str(length)) + len(text) != length:
            length += 1
        body += str(length).encode() + text
    return header("pax", kind, len(body)) + padded(body)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    """Gives a GNU header with a long name."""
    return header("././@LongLink", kind, len(name) + 1) + padded(name + b"\0")


def zipped(*entries: tuple[str, bytes], **changes: int) -> bytes:
    """Gives a ZIP file; `changes` are attributes of every entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(entry, key, value)
            archive.writestr(entry, content)
    return buffer.getvalue()


def patched(content: bytes, mark: bytes, offset: int, value: bytes, last: bool = False) -> bytes:
    """Gives the bytes with something else at an offset from the first (or last) mark."""
    at = (content.rfind(mark) if last else content.find(mark)) + offset
    return content[:at] + value + content[at + len(value) :]


def zeros(name: str, size_bytes: int) -> bytes:
    """Gives a gzip-compressed tar of one file of zeros, made in pieces."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = [compressor.compress(header(name, size=size_bytes))]
    packed += [compressor.compress(bytes(MIB)) for _ in range(size_bytes // MIB)]
    return b"".join([*packed, compressor.compress(bytes(1024)), compressor.flush()])
