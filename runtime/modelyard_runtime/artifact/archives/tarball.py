"""A tar stream into a folder: one pass, nothing held in memory, every header judged before its bytes are taken.

`artifact.archives.unpacking` calls it for files, and a source may for the layers of an image. The standard library
reads a header block (`tarfile.TarInfo.frombuf`); the order of blocks, the extension headers and their sizes are read
here, because the library's own reader takes what a header claims into memory and matches it with slow patterns.
"""

import tarfile
from collections.abc import Callable, Iterator, Mapping

from modelyard_runtime.artifact.archives import folder, limits

_BLOCK = 512
_CHUNK_BYTES = 1024 * 1024
_END = bytes(_BLOCK)
# A path of limits.MAX_PATH_BYTES and what else tar programs note of a file, such as its extended attributes.
_MAX_EXTENSION_BYTES = 64 * 1024
_MAX_PADDING_BYTES = 16 * 1024**2  # after the end: a record of zeros, 10 KiB usually
_EXTENSIONS = (b"x", b"g", b"L", b"K")
_KINDS: Mapping[bytes, str] = {
    tarfile.LNKTYPE: "is a hard link",
    tarfile.SYMTYPE: "is a symbolic link",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
    tarfile.FIFOTYPE: "is a named pipe",
    tarfile.GNUTYPE_SPARSE: "is a sparse file",
}
_PACK_PLAIN = "; pack only plain files and folders"

Read = Callable[[int], bytes]


def unpack(read: Read, into: folder.Folder) -> None:
    """Writes what is in a tar stream; `read(n)` gives at most n of its uncompressed bytes, none at its end.

    Raises `StartFailure`: ArchiveRefused, or what `read` raises.
    """
    stream = _Stream(read, into.budget)
    extension = _Extension()
    while (header := stream.block("a header")) != _END:
        member = _parse(header, extension.path or "")
        if member.type in _EXTENSIONS:
            extension = extension.with_header(member, stream)
            continue
        _add(member, extension, stream, into)
        extension = _Extension()
    if extension.is_set:
        raise limits.damage("it ends where a file should follow")
    stream.finish()


def _add(member: tarfile.TarInfo, extension: "_Extension", stream: "_Stream", into: folder.Folder) -> None:
    name = extension.path if extension.path is not None else member.name
    size_bytes = extension.size_bytes if extension.size_bytes is not None else member.size
    if extension.is_sparse:
        raise limits.refusal(name, "is a sparse file" + _PACK_PLAIN)
    if member.type == tarfile.DIRTYPE:
        if size_bytes:
            raise limits.refusal(name, "is a folder with content of its own")
        into.add_folder(name)
        return
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise limits.refusal(name, _KINDS.get(member.type, "is of a kind that is not known") + _PACK_PLAIN)
    if name.endswith("/"):
        raise limits.refusal(name, "is called like a folder, but is a file")
    into.budget.check_announced(name, size_bytes)
    into.add_file(name, stream.content(size_bytes, name), is_program=bool(member.mode & 0o100))


def _parse(header: bytes, name: str) -> tarfile.TarInfo:
    where = f" after {limits.shown(name)}" if name else ""
    try:
        # Python 3.11 itself decodes no name that is not UTF-8: what it escapes, `names` refuses.
        member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        raise limits.damage(f"it is no tar archive, or is damaged{where}") from None
    if member.size < 0:
        raise limits.refusal(member.name, "has a negative size")
    return member


class _Extension:
    """What extension headers say of the file that follows them."""

    def __init__(self, fields: Mapping[str, str] | None = None) -> None:
        self._fields = fields or {}

    @property
    def is_set(self) -> bool:
        return bool(self._fields)

    @property
    def path(self) -> str | None:
        return self._fields.get("path")

    @property
    def is_sparse(self) -> bool:
        return any(key.startswith("GNU.sparse") for key in self._fields)

    @property
    def size_bytes(self) -> int | None:
        size = self._fields.get("size")
        if size is None:
            return None
        if not (size.isascii() and size.isdigit()) or len(size) > 18:
            raise limits.refusal(self.path or "", f"has the size {limits.shown(size)}, which is no number")
        return int(size)

    def with_header(self, member: tarfile.TarInfo, stream: "_Stream") -> "_Extension":
        """Gives this with what one more extension header says; the first to say something counts, as in every tar."""
        if member.size > _MAX_EXTENSION_BYTES:
            raise limits.refusal(
                member.name, f"has an extension header of more than {_MAX_EXTENSION_BYTES} bytes"
            )
        body = b"".join(stream.content(member.size, member.name))
        if member.type in (b"L", b"K"):
            key = "path" if member.type == b"L" else "linkpath"
            said = {key: body.rstrip(b"\0").decode("utf-8", "surrogateescape")}
        else:
            said = dict(_records(body, member.name))
        if member.type == b"g":
            # It would count for every later file. What programs put there is a comment: git's commit.
            if any(key in ("path", "size") or key.startswith("GNU.") for key in said):
                raise limits.refusal(member.name, "gives all files of the archive one path or size")
            return self
        if said.keys() & self._fields.keys():
            raise limits.refusal(member.name, "has two extension headers that say the same of one file")
        return _Extension({**self._fields, **said, "": ""})


def _records(body: bytes, name: str) -> Iterator[tuple[str, str]]:
    """Gives the records `length SP key=value LF` of a PAX header."""
    rest = body
    while rest.rstrip(b"\0"):
        length_text, space, _ = rest[:8].partition(b" ")
        length = int(length_text) if length_text.isdigit() else 0
        record = rest[len(length_text) + 1 : length]
        key, equals, value = record[:-1].partition(b"=")
        if not space or not record.endswith(b"\n") or not equals or length > len(rest):
            raise limits.refusal(name, "has an extension header that can't be read")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        rest = rest[length:]


class _Stream:
    """The uncompressed bytes of a tar, counted."""

    def __init__(self, read: Read, budget: limits.Budget) -> None:
        self._read = read
        self._budget = budget
        self._name = "the first one"

    def block(self, what: str) -> bytes:
        """Gives the next 512 bytes."""
        return b"".join(self._exactly(_BLOCK, what))

    def content(self, size_bytes: int, name: str) -> Iterator[bytes]:
        """Gives the bytes of one file in chunks, and passes over what fills its last block."""
        self._name = limits.shown(name)
        yield from self._exactly(size_bytes, f"the entry {self._name}")
        for _ in self._exactly(-size_bytes % _BLOCK, f"the entry {self._name}"):
            pass

    def finish(self) -> None:
        """Reads to the end, where only zeros may follow."""
        padding_bytes = 0
        while chunk := self._take(_CHUNK_BYTES):
            padding_bytes += len(chunk)
            if chunk.strip(b"\0") or padding_bytes > _MAX_PADDING_BYTES:
                raise limits.damage(f"something follows after its end, behind the entry {self._name}")
        if padding_bytes < _BLOCK:
            raise limits.damage(f"its end is missing after the entry {self._name}")

    def _exactly(self, size_bytes: int, what: str) -> Iterator[bytes]:
        while size_bytes > 0:
            chunk = self._take(min(size_bytes, _CHUNK_BYTES))
            if not chunk:
                raise limits.damage(f"it ends within {what}, after the entry {self._name}")
            size_bytes -= len(chunk)
            yield chunk

    def _take(self, size_bytes: int) -> bytes:
        chunk = self._read(size_bytes)
        self._budget.add_stream(self._name, len(chunk))
        return chunk
