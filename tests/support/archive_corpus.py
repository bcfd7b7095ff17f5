"""Archives that want something else than to be unpacked, made by script: none of them is in git.

Used by `tests/unit/runtime/test_archive_corpus.py`. Each case says which entry, or which words, the refusal must name.
"""

import dataclasses
import gzip
import io
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterator

import zstandard

from tests.support.archive_making import (
    CENTRAL,
    END,
    LOCAL,
    MIB,
    file,
    header,
    long_name,
    padded,
    patched,
    pax,
    tar,
    zeros,
    zipped,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One archive: what it is, its file name, how it is made, and what the refusal says."""

    what: str
    name: str
    build: Callable[[], bytes]
    says: tuple[str, ...]


_ONE = (("good.bin", b"good" * 100),)
_NFC, _NFD = unicodedata.normalize("NFC", "modèle"), unicodedata.normalize("NFD", "modèle")

# A name that both kinds of archive can have, and the words of the refusal.
BAD_NAMES: tuple[tuple[str, str, str], ...] = (
    ("dot dot", "../evil", "'..'"),
    ("dot dot within", "a/../../evil", "'..'"),
    ("dot dot at the end", "a/..", "'..'"),
    ("dot dot after a dot", "./../evil", "'..'"),
    ("absolute", "/tmp/evil", "absolute"),
    ("two slashes", "//tmp/evil", "absolute"),
    ("backslash", "..\\evil", "backslash"),
    ("backslash within", "a\\b", "backslash"),
    ("drive", "C:evil", "drive letter"),
    ("drive with a path", "c:/evil", "drive letter"),
    ("newline", "a\nb", "control character"),
    ("escape", "a\x1b[31mb", "control character"),
    ("delete", "a\x7fb", "control character"),
    ("right to left", "a\u202ebin.lkp", "control character"),
    ("empty part", "a//b", "empty"),
    ("dot within", "a/./b", "'.'"),
    ("deep", "d/" * 40 + "f", "32 folders deep"),
    ("deeper than the stack", "d/" * 400 + "f", "32 folders deep"),
    ("long part", "n" * 256, "255 bytes"),
    ("long path", "/".join(["n" * 200] * 6), "1024 bytes"),
)
# Two names that mean one file somewhere.
COLLISIONS: tuple[tuple[str, tuple[str, str], str], ...] = (
    ("twice", ("a", "a"), "twice"),
    ("twice in a folder", ("d/a", "d/a"), "twice"),
    ("twice, once with a dot", ("a", "./a"), "twice"),
    ("by case", ("Model.onnx", "model.onnx"), "only by case"),
    ("folders by case", ("D/a", "d/b"), "only by case"),
    ("by sharp s", ("straße", "strasse"), "only by case"),
    ("by form of Unicode", (_NFC, _NFD), "only by case"),
    ("folders by form of Unicode", (_NFC + "/a", _NFD + "/b"), "only by case"),
    ("a file as a folder", ("a", "a/b"), "as a folder"),
    ("a folder as a file", ("a/b", "a"), "twice"),
)


def cases() -> Iterator[Case]:
    """Gives every case."""
    for what, name, says in BAD_NAMES:
        yield Case(f"tar: {what}", "m.tar", lambda name=name: _tar_of(name), (says,))  # type: ignore[misc]
        yield Case(f"zip: {what}", "m.zip", lambda name=name: zipped((name, b"x")), (says,))  # type: ignore[misc]
    for what, both, says in COLLISIONS:
        yield Case(f"tar: {what}", "m.tar", lambda both=both: tar(*(map(file, both))), (says, both[1][:3]))  # type: ignore[misc]
        yield Case(f"zip: {what}", "m.zip", lambda both=both: _twice(both), (says, both[1][:3]))  # type: ignore[misc]
    yield from _TARS
    yield from _COMPRESSED
    yield from _ZIPS


def _tar_of(name: str) -> bytes:
    return tar(long_name(name.encode()), file("short")) if len(name.encode()) > 99 else tar(file(name))


def _twice(names: tuple[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            # Past the warning of the library for a name that is there twice.
            archive.NameToInfo.clear()
            archive.writestr(zipfile.ZipInfo(name), b"x")
    return buffer.getvalue()


def _link(kind: bytes, target: str) -> Callable[[], bytes]:
    return lambda: tar(header("link", kind, link=target))


def _many(count: int) -> bytes:
    return gzip.compress(b"".join(header(f"{number}", b"0") for number in range(count)) + bytes(1024), 1)


_THREE = tar(file("a", b"a" * 700), file("b", b"b" * 700), file("c"))
_TARS = (
    Case("symlink out", "m.tar", _link(b"2", "/etc/passwd"), ("'link'", "symbolic link")),
    Case("symlink up", "m.tar", _link(b"2", "../../x"), ("'link'", "symbolic link")),
    Case("symlink within", "m.tar", _link(b"2", "a"), ("'link'", "symbolic link")),
    Case("symlink, then a file through it", "m.tar",
         lambda: tar(header("d", b"2", link="/tmp"), file("d/evil")), ("'d'", "symbolic link")),
    Case("file, then a symlink of its name", "m.tar", lambda: tar(file("d"), header("d", b"2", link="/tmp")),
         ("'d'", "symbolic link")),
    Case("hard link", "m.tar", _link(b"1", "/etc/passwd"), ("'link'", "hard link")),
    Case("hard link within", "m.tar", lambda: tar(file("a"), header("link", b"1", link="a")), ("'link'", "hard link")),
    Case("long link", "m.tar", lambda: tar(long_name(b"/etc/" + b"x" * 200, b"K"), header("link", b"2")),
         ("'link'", "symbolic link")),
    Case("character device", "m.tar", _link(b"3", ""), ("'link'", "device")),
    Case("block device", "m.tar", _link(b"4", ""), ("'link'", "device")),
    Case("pipe", "m.tar", _link(b"6", ""), ("'link'", "named pipe")),
    Case("contiguous file", "m.tar", _link(b"7", ""), ("'link'", "not known")),
    Case("GNU sparse file", "m.tar", lambda: tar(header("s", b"S", 512) + bytes(512)), ("'s'", "sparse")),
    Case("PAX sparse file", "m.tar", lambda: tar(pax(GNU__sparse__major="1", GNU__sparse__name="s"), file("s")),
         ("'s'", "sparse")),
    Case("volume header", "m.tar", _link(b"V", ""), ("'link'", "not known")),
    Case("continued file", "m.tar", _link(b"M", ""), ("'link'", "not known")),
    Case("unknown kind", "m.tar", _link(b"Z", ""), ("'link'", "not known")),
    Case("Solaris extension", "m.tar", _link(b"X", ""), ("'link'", "not known")),
    Case("folder with content", "m.tar", lambda: tar(header("d/", b"5", 512) + bytes(512)), ("'d'", "content")),
    Case("PAX path that leads out", "m.tar", lambda: tar(pax(path="../evil"), file("good")), ("'../evil'", "'..'")),
    Case("PAX path that is absolute", "m.tar", lambda: tar(pax(path="/evil"), file("good")), ("'/evil'", "absolute")),
    Case("PAX path with a zero byte", "m.tar", lambda: tar(pax(path="a\0b"), file("good")), ("control character",)),
    Case("PAX path for all", "m.tar", lambda: tar(pax(b"g", path="../evil"), file("good")), ("'pax'", "one path")),
    Case("PAX size for all", "m.tar", lambda: tar(pax(b"g", size="1"), file("good")), ("'pax'", "one path")),
    Case("PAX size that is none", "m.tar", lambda: tar(pax(size="-5"), file("good")), ("'-5'", "no number")),
    Case("PAX size beyond the end", "m.tar", lambda: tar(pax(size="5000"), file("good")), ("'good'", "ends within")),
    Case("PAX size of an exabyte", "m.tar", lambda: tar(pax(size="1" + "0" * 17), file("good")), ("'good'", "bytes")),
    Case("PAX header of 8 GiB", "m.tar", lambda: tar(header("pax", b"x", 8 * 1024**3 - 1)), ("'pax'", "extension")),
    Case("PAX header without a length", "m.tar", lambda: tar(header("pax", b"x", 5) + padded(b"nolen")),
         ("'pax'", "can't be read")),
    Case("PAX header with a wrong length", "m.tar", lambda: tar(header("pax", b"x", 9) + padded(b"99 a=b\n\n\n")),
         ("'pax'", "can't be read")),
    Case("PAX header for nothing", "m.tar", lambda: tar(pax(path="a")), ("ends where a file should follow",)),
    Case("two paths for one file", "m.tar", lambda: tar(pax(path="a"), long_name(b"b"), file("c")), ("the same",)),
    Case("GNU long name of 8 GiB", "m.tar", lambda: tar(header("L", b"L", 8 * 1024**3 - 1)), ("extension header",)),
    Case("GNU long name that leads out", "m.tar", lambda: tar(long_name(b"../" + b"x" * 150), file("g")), ("'..'",)),
    Case("10,000 long names", "m.tar", lambda: tar(long_name(b"n") * 10_000, file("g")), ("the same",)),
    Case("negative size", "m.tar", lambda: tar(header("neg", b"0", -1)), ("'neg'", "negative")),
    Case("name that is no UTF-8", "m.tar", lambda: tar(file("a\udcffb")), ("UTF-8",)),
    Case("cut within a file", "m.tar", lambda: _THREE[:800], ("'a'", "ends within")),
    Case("cut within a header", "m.tar", lambda: _THREE[:1700], ("ends within a header", "'a'")),
    Case("without an end", "m.tar", lambda: _THREE[:-1024], ("'c'", "ends within a header")),
    Case("with half an end", "m.tar", lambda: _THREE[:-512], ("'c'", "end is missing")),
    Case("something after the end", "m.tar", lambda: _THREE + file("evil"), ("'c'", "follows after its end")),
    Case("wrong checksum", "m.tar", lambda: b"X" + _THREE[1:], ("no tar archive",)),
    Case("empty file", "m.tar", lambda: b"", ("ends within",)),
    Case("no entry", "m.tar", tar, ("holds no file",)),
    Case("folders alone", "m.tar", lambda: tar(header("d/", b"5")), ("holds no file",)),
    Case("HTML", "m.tar", lambda: b"<html>" * 500, ("no tar archive",)),
)  # fmt: skip
_COMPRESSED = (
    Case("100,000 entries", "m.tar.gz", lambda: _many(100_000), ("'10000'", "10000 entries")),
    Case("gzip of zeros", "m.tgz", lambda: zeros("zeros.bin", 512 * MIB), ("'zeros.bin'", "100 times")),
    Case("gzip larger than allowed", "m.tgz", lambda: gzip.compress(header("big", size=2 * 1024**3), 1),
         ("'big'", "bytes that are left")),
    Case("zeros after the end", "m.tar.gz", lambda: gzip.compress(_THREE + bytes(32 * MIB)), ("follows after",)),
    Case("garbage after gzip", "m.tar.gz", lambda: gzip.compress(_THREE) + b"garbage", ("tar.gz compression",)),
    Case("gzip cut", "m.tar.gz", lambda: gzip.compress(_THREE)[:-12], ("damaged",)),
    Case("gzip with a wrong checksum", "m.tar.gz", lambda: gzip.compress(_THREE)[:-8] + bytes(8), ("damaged",)),
    Case("no gzip", "m.tar.gz", lambda: _THREE, ("tar.gz compression",)),
    Case("zstd of zeros", "m.tar.zst", lambda: zstandard.compress(header("z", size=256 * MIB) + bytes(256 * MIB)),
         ("'z'", "100 times")),
    Case("zstd with a window of 1 GiB", "m.tar.zst", lambda: b"\x28\xb5\x2f\xfd\x00\xa0" + bytes(16), ("damaged",)),
    Case("zstd cut", "m.tar.zst", lambda: zstandard.compress(_THREE)[:-20], ("'first one'", "ends within")[1:]),
    Case("garbage after zstd", "m.tar.zst", lambda: zstandard.compress(_THREE) + b"garbage", ("tar.zst compression",)),
    Case("no zstd", "m.tar.zst", lambda: _THREE, ("tar.zst compression",)),
)  # fmt: skip


def _overlapping() -> bytes:
    """Gives a ZIP file whose entries share one piece of data: the trick of the bombs without nesting."""
    content = zipped(("a", bytes(10 * MIB)), ("b", b"x"))
    return patched(content, CENTRAL, 42, struct.pack("<L", 0), last=True)


def _quoted() -> bytes:
    """Gives a ZIP file with one entry inside of another's stored bytes, both headers right."""
    whole = zipped(("a", b""), ("b", b"x" * 50), compress_type=zipfile.ZIP_STORED)
    inner = whole[whole.rfind(LOCAL) : whole.find(CENTRAL)]
    content = zipped(("a", inner), ("b", b"x" * 50), compress_type=zipfile.ZIP_STORED)
    within = content.find(LOCAL, 1)
    return patched(content, CENTRAL, 42, struct.pack("<L", within), last=True)


def _in_front() -> bytes:
    """Gives a ZIP file with something in front of its first entry, and every offset right."""
    content = b"hidden" + zipped(*_ONE)
    moved = patched(content, CENTRAL, 42, struct.pack("<L", 6))
    return patched(moved, END, 16, struct.pack("<L", content.find(CENTRAL)))


def _zip64_lie(entries: int) -> bytes:
    content = zipped(*_ONE)
    end = content.find(END)
    central, size = content.find(CENTRAL), end - content.find(CENTRAL)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, central)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    return (
        content[:end]
        + record
        + locator
        + struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, size, central, 0)
    )


def _hole() -> bytes:
    content = zipped(*_ONE)
    central = content.find(CENTRAL)
    moved = content[:central] + b"hidden" + content[central:]
    return patched(moved, END, 16, struct.pack("<L", central + 6))


_ZIPS = (
    Case("symlink", "m.zip", lambda: zipped(("l", b"/etc/passwd"), external_attr=0o120777 << 16), ("'l'", "symbolic")),
    Case("pipe", "m.zip", lambda: zipped(("p", b""), external_attr=0o010644 << 16), ("'p'", "device")),
    Case("device", "m.zip", lambda: zipped(("p", b""), external_attr=0o060644 << 16), ("'p'", "device")),
    Case("folder called like a file", "m.zip", lambda: zipped(("d", b""), external_attr=0o040755 << 16), ("'d'",)),
    Case("file called like a folder", "m.zip", lambda: zipped(("d/", b"x")), ("'d/'", "called like a folder")),
    Case("zero byte in the name", "m.zip", lambda: zipped(("good.bin", b"x")).replace(b"good.bin", b"good\0bin"),
         ("control character",)),
    Case("encrypted", "m.zip", lambda: patched(patched(zipped(*_ONE), LOCAL, 6, b"\1\0"), CENTRAL, 8, b"\1\0"),
         ("'good.bin'", "encrypted")),
    Case("bzip2", "m.zip", lambda: zipped(*_ONE, compress_type=zipfile.ZIP_BZIP2), ("'good.bin'", "method 12")),
    Case("lzma", "m.zip", lambda: zipped(*_ONE, compress_type=zipfile.ZIP_LZMA), ("'good.bin'", "method 14")),
    Case("another name at its place", "m.zip", lambda: patched(zipped(*_ONE), LOCAL, 30, b"evil"),
         ("'good.bin'", "something else at its place")),
    Case("another size at its place", "m.zip", lambda: patched(zipped(*_ONE), LOCAL, 22, b"\1\0\0\0"),
         ("'good.bin'", "something else at its place")),
    Case("another method at its place", "m.zip", lambda: patched(zipped(*_ONE), LOCAL, 8, b"\0\0"),
         ("'good.bin'", "something else at its place")),
    Case("larger than it says", "m.zip", lambda: patched(patched(zipped(*_ONE), LOCAL, 22, b"\x10\0\0\0"), CENTRAL, 24,
         b"\x10\0\0\0"), ("'good.bin'", "damaged")),
    Case("smaller than it says", "m.zip", lambda: patched(patched(zipped(*_ONE), LOCAL, 22, b"\0\0\1\0"), CENTRAL, 24,
         b"\0\0\1\0"), ("'good.bin'", "fewer bytes")),
    Case("wrong checksum", "m.zip", lambda: patched(patched(zipped(*_ONE), LOCAL, 14, b"evil"), CENTRAL, 16, b"evil"),
         ("'good.bin'", "damaged")),
    Case("overlapping", "m.zip", _overlapping, ("'a'", "shares bytes")),
    Case("overlapping in its data", "m.zip", _quoted, ("'a'", "shares bytes")),
    Case("same entry named twice", "m.zip", lambda: patched(zipped(("a", b"x"), ("b", b"x")), CENTRAL, 42,
         struct.pack("<L", 0), last=True), ("'a'", "shares bytes")),
    Case("ratio", "m.zip", lambda: zipped(("z", bytes(256 * MIB))), ("'z'", "100 times")),
    Case("100,000 entries said", "m.zip", lambda: _zip64_lie(100_000), ("10000 entries",)),
    Case("fewer entries said (zip64)", "m.zip", lambda: _zip64_lie(0), ("another length",)),
    Case("11,000 entries", "m.zip", lambda: zipped(*((f"{n}", b"") for n in range(11_000))), ("10000 entries",)),
    Case("fewer entries said", "m.zip", lambda: patched(zipped(*_ONE), END, 10, b"\0\0"), ("another length",)),
    Case("something in front", "m.zip", lambda: b"#!/bin/sh\n" + zipped(*_ONE), ("directory is not where",)),
    Case("something in front, well done", "m.zip", _in_front, ("in front of its files",)),
    Case("something behind", "m.zip", lambda: zipped(*_ONE) + b"garbage", ("follows after its end",)),
    Case("something between", "m.zip", _hole, ("'good.bin'", "no entry owns")),
    Case("first of several disks", "m.zip", lambda: patched(zipped(*_ONE), END, 4, b"\1\0"), ("one part of several",)),
    Case("cut", "m.zip", lambda: zipped(*_ONE)[:-30], ("its end is missing",)),
    Case("empty file", "m.zip", lambda: b"", ("its end is missing",)),
    Case("no entry", "m.zip", zipped, ("holds no file",)),
    Case("no ZIP file", "m.zip", lambda: b"<html>" * 100, ("no ZIP file",)),
)  # fmt: skip
