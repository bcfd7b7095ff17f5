"""A ZIP file into a folder: its directory judged as a whole, then each file read and compared with what it said.

Called by `artifact.archives.unpacking`. The standard library reads the directory and decompresses; what it lets pass
is checked here first: that the directory is what the end of the file says, that no two entries share bytes, and that
each entry says the same of itself at its place as in the directory. So every program reads the same files out of it.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from modelyard_runtime.artifact.archives import folder, limits

_CHUNK_BYTES = 1024 * 1024
_END = struct.Struct("<4s4H2LH")  # end of central directory
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_CENTRAL_BYTES, _CENTRAL_MARK, _CENTRAL_LENGTHS = 46, b"PK\x01\x02", struct.Struct("<3H")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT_BYTES = 65_535
_MAX_DIRECTORY_BYTES = limits.MAX_ENTRIES * (_CENTRAL_BYTES + limits.MAX_PATH_BYTES + 128)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_SIZES_FOLLOW = 0x8
# Behind the data, by its length: with and without a mark, with 4 or 8 bytes a size.
_DESCRIPTORS = {12: "<LLL", 16: "<4sLLL", 20: "<LQQ", 24: "<4sLQQ"}
_DESCRIPTOR_MARK = (b"PK\x07\x08",)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_UNKNOWN_SIZE = 0xFFFFFFFF  # the size is in a field of its own (ZIP64)


def unpack(path: Path, into: folder.Folder) -> None:
    """Writes what is in a ZIP file; raises `StartFailure` (ArchiveRefused)."""
    with path.open("rb") as file:
        start, count = _find_directory(file)
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                if len(entries) != count:
                    raise limits.damage("its directory has another length than its end says")
                _check_places(file, entries, start)
                for entry in entries:
                    _check_kind(entry)
                for entry in entries:
                    into.budget.check_announced(entry.orig_filename, entry.file_size)
                    _add(archive, entry, into)
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, EOFError, zlib.error):
            raise limits.damage("it is no ZIP file, or is damaged") from None


def _find_directory(file: IO[bytes]) -> tuple[int, int]:
    """Gives where the central directory starts and how many entries it has, once it is where it must be."""
    size = file.seek(0, 2)
    tail_start = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    tail = _read_at(file, tail_start, size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise limits.damage("it is no ZIP file, or its end is missing")
    _, disk, first_disk, _, count, directory_bytes, start, comment_bytes = _END.unpack_from(tail, at)
    end = tail_start + at
    if at + _END.size + comment_bytes != len(tail):
        raise limits.damage("something follows after its end")
    if disk or first_disk:
        raise limits.damage("it is one part of several")
    if 0xFFFF in (count,) or _UNKNOWN_SIZE in (directory_bytes, start):
        end, count, directory_bytes, start = _find_directory_64(file, end)
    if start + directory_bytes != end:
        raise limits.damage("its directory is not where its end says")
    if directory_bytes > _MAX_DIRECTORY_BYTES or count > limits.MAX_ENTRIES:
        raise limits.damage(f"it has more than the {limits.MAX_ENTRIES} entries that are allowed")
    if _count_entries(_read_at(file, start, directory_bytes)) != count:
        raise limits.damage("its directory has another length than its end says")
    return start, count


def _find_directory_64(file: IO[bytes], end: int) -> tuple[int, int, int, int]:
    locator_at = end - _LOCATOR_64.size
    end_64_at = locator_at - _END_64.size
    if end_64_at < 0:
        raise limits.damage("its end is damaged (ZIP64)")
    mark, disk, said_at, disks = _LOCATOR_64.unpack(_read_at(file, locator_at, _LOCATOR_64.size))
    record = _END_64.unpack(_read_at(file, end_64_at, _END_64.size))
    if mark != b"PK\x06\x07" or record[0] != b"PK\x06\x06" or said_at != end_64_at or disk or disks > 1:
        raise limits.damage("its end is damaged (ZIP64)")
    count, directory_bytes, start = record[7:]
    return end_64_at, count, directory_bytes, start


def _count_entries(directory: bytes) -> int:
    """Gives how many entries a central directory has; one more than it can have when it is damaged."""
    count = at = 0
    while at < len(directory):
        if directory[at : at + 4] != _CENTRAL_MARK or len(directory) - at < _CENTRAL_BYTES:
            return limits.MAX_ENTRIES + 1
        at += _CENTRAL_BYTES + sum(_CENTRAL_LENGTHS.unpack_from(directory, at + 28))
        count += 1
    return count if at == len(directory) else limits.MAX_ENTRIES + 1


def _check_places(file: IO[bytes], entries: list[zipfile.ZipInfo], directory_start: int) -> None:
    """Refuses entries that share bytes, leave gaps, or say something else at their place than in the directory."""
    ordered = sorted(entries, key=lambda one: one.header_offset)
    starts = [*(entry.header_offset for entry in ordered), directory_start]
    if starts[0] != 0:
        raise limits.damage("something lies in front of its files")
    for entry, until in zip(ordered, starts[1:], strict=True):
        end = _check_local(file, entry)
        if end > until:
            raise limits.refusal(entry.orig_filename, "shares bytes with what follows it in the archive")
        if entry.flag_bits & _SIZES_FOLLOW:
            _check_descriptor(file, entry, end, until)
        elif end < until:
            raise limits.refusal(entry.orig_filename, "is followed by something that no entry owns")


def _check_local(file: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Gives where an entry's data ends; refuses a local header that says something else than the directory."""
    name, start = entry.orig_filename, int(entry.header_offset)
    header = _read_at(file, start, _LOCAL.size)
    mark, _, flags, method, _, _, crc, packed, unpacked, name_bytes, extra_bytes = _LOCAL.unpack(
        header.ljust(_LOCAL.size, b"\0")
    )
    raw_name = _read_at(file, start + _LOCAL.size, name_bytes)
    encoding = "utf-8" if entry.flag_bits & 0x800 else "cp437"
    # Where sizes follow the data, they are zero here, or said all the same.
    free_to_differ = (0, _UNKNOWN_SIZE) if flags & _SIZES_FOLLOW else (_UNKNOWN_SIZE,)
    said = ((packed, entry.compress_size), (unpacked, entry.file_size))
    if (
        mark != b"PK\x03\x04"
        or raw_name != name.encode(encoding)
        or (flags, method) != (entry.flag_bits, entry.compress_type)
        or (crc != entry.CRC and not (flags & _SIZES_FOLLOW and crc == 0))
        or any(here != there and here not in free_to_differ for here, there in said)
    ):
        raise limits.refusal(name, "says something else at its place than in the directory of the archive")
    return start + _LOCAL.size + int(name_bytes) + int(extra_bytes) + entry.compress_size


def _check_descriptor(file: IO[bytes], entry: zipfile.ZipInfo, start: int, until: int) -> None:
    """Refuses the record behind an entry's data that is more than one, or says something else than the directory."""
    pattern = _DESCRIPTORS.get(until - start, "")
    record = _read_at(file, start, until - start) if pattern else b""
    said = (entry.CRC, entry.compress_size, entry.file_size)
    if not pattern or struct.unpack(pattern, record) != (
        *(_DESCRIPTOR_MARK if len(record) in (16, 24) else ()),
        *said,
    ):
        raise limits.refusal(entry.orig_filename, "says something else behind its data than in the directory")


def _check_kind(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename
    mode = entry.external_attr >> 16
    if entry.flag_bits & _ENCRYPTED:
        raise limits.refusal(name, "is encrypted")
    if entry.compress_type not in _METHODS:
        raise limits.refusal(
            name, f"is compressed by method {entry.compress_type}; use deflate, as zip does by itself"
        )
    if stat.S_ISLNK(mode):
        raise limits.refusal(name, "is a symbolic link; pack only plain files and folders")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise limits.refusal(name, "is a device or a pipe; pack only plain files and folders")
    if stat.S_ISDIR(mode) and not name.endswith("/"):
        raise limits.refusal(name, "is a folder, but is called like a file")
    if name.endswith("/") and entry.file_size:
        raise limits.refusal(name, "is called like a folder, but is a file")


def _add(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, into: folder.Folder) -> None:
    name = entry.orig_filename
    if name.endswith("/"):
        into.add_folder(name)
        return
    try:
        into.add_file(name, _content(archive, entry), is_program=bool(entry.external_attr >> 16 & 0o100))
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise limits.refusal(name, "is damaged: its bytes are not those that it was packed with") from None


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    size_bytes = 0
    with archive.open(entry) as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            size_bytes += len(chunk)
            yield chunk
    if size_bytes != entry.file_size:
        raise limits.refusal(entry.orig_filename, "has fewer bytes than the directory of the archive says")


def _read_at(file: IO[bytes], offset: int, size_bytes: int) -> bytes:
    file.seek(offset)
    return file.read(size_bytes)
