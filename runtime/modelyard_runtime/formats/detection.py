"""What kind of model an artifact is, told from its name, its first bytes and, in a ZIP archive, the names within.

Called by `artifact.fetch` after the digest is right (so that a wrong file fails early) and by `loading` to choose the
adapter. It reads a few kilobytes at both ends of a file and must never parse, unpack or import what it looks at.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.formats import catalog

_HEAD_BYTES = 512
_TAIL_BYTES = 64 * 1024  # of a ZIP archive: the end of its directory

# (first bytes, what it looks like). Compressed joblib dumps are handled before these.
_LOOKS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89HDF", "an HDF5 file (Keras before version 3)"),
    (b"\x93NUMPY", "a NumPy array file"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"#!", "a script"),
    (b"version https://git-lfs", "a Git LFS pointer (the real file was not checked out)"),
    (b"binf", "an XGBoost model in the binary form that XGBoost 3.1 gave up (save it as .ubj)"),
    (b"{", "a JSON file"),
)
_MARKUP = re.compile(rb"\s*<(!doctype\s+html|html|head|body)", re.IGNORECASE)
_XML = re.compile(rb"\s*<(\?xml|[A-Za-z])")
# joblib compresses with these; the file then starts with the compressor's own mark.
_COMPRESSED = (
    b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda",  # zlib
    b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x04\x22\x4d\x18",  # gzip, bzip2, xz, lzma, lz4
)  # fmt: skip
# A serialised ONNX ModelProto begins with field 1, the version of its form, a small number; then comes another field
# of it: producer, version, domain, a text, the graph, operator sets, properties.
_ONNX = re.compile(rb"\x08[\x03-\x1f][\x12\x1a\x22\x28\x32\x3a\x42\x72]")
# XGBoost's JSON and its binary twin UBJSON both open with an object whose first key is "learner".
_XGBOOST = re.compile(rb'\{(\s*"|L\x00{7}\x07|[iUlI]\x07)learner')
# Regular expression on one member's name → format. Of the formats in ZIP archives, each has a file of its own name.
_MEMBERS: tuple[tuple[str, str], ...] = (
    (r"schema\.json", "skops"),
    (r"model\.weights\.h5", "keras"),
    (r"([^/]+/)?(archive_format|serialized_exported_program\.json)", "torch"),  # torch.export
    (r"[^/]+/(constants\.pkl|code/.*)", "torch"),  # TorchScript
)
# The same for archives that are no model, with what they are.
_OTHER_ARCHIVES: tuple[tuple[str, str], ...] = (
    (
        r"[^/]+/data\.pkl",
        "a PyTorch checkpoint (weights without the program; save it with torch.export.save)",
    ),
    (r".*\.npy", "an archive of NumPy arrays"),
    (r"\[Content_Types\]\.xml", "an Office document"),
)


def infer_format(head: bytes, members: Sequence[str] = ()) -> str | None:
    """Gives the format that a file's first bytes and, in an archive, its members' names stand for, or None."""
    is_binary_pickle = len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5
    if is_binary_pickle or head.startswith(_COMPRESSED):
        return "sklearn"
    if _ONNX.match(head):
        return "onnx"
    if _XGBOOST.match(head):
        return "xgboost"
    if head.startswith((b"tree\n", b"tree\r\n")):
        return "lightgbm"
    if head.startswith(b"CBM1"):
        return "catboost"
    return _by_member(_MEMBERS, members)


def describe(head: bytes, members: Sequence[str] = ()) -> str:
    """Gives what a file looks like, to complete "it is …"."""
    if not head:
        return "empty"
    found = infer_format(head, members)
    if found is not None:
        return catalog.FORMATS[found].title
    if _MARKUP.match(head):
        return "an HTML page (a login or error page instead of the file?)"
    marked = (name for mark, name in _LOOKS if head.startswith(mark))
    return _by_member(_OTHER_ARCHIVES, members) or next(marked, None) or _describe_text(head)


def _describe_text(head: bytes) -> str:
    if _XML.match(head):
        return "an XML document"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "a text file"
    return "a file of an unknown kind"


def describe_file(file: Path) -> str:
    """Gives what a file on disk looks like, to complete "it is …"."""
    return describe(read_head(file), read_members(file))


def find_model_file(path: Path) -> Path:
    """Gives the file to load: the artifact itself or, in a folder, the one that can be meant.

    That is the one called `model` with a known ending, the only one with a known ending, or the only one. Raises
    `StartFailure` (FormatUnknown) when a folder leaves a choice.
    """
    if path.is_file():
        return path
    for name in catalog.FILE_NAMES:
        if (path / name).is_file():
            return path / name
    files = [file for file in path.rglob("*") if file.is_file()]
    for candidates in ([file for file in files if catalog.by_suffix(file.name)], files):
        if len(candidates) == 1:
            return candidates[0]
    raise errors.StartFailure(
        errors.Reason.FORMAT_UNKNOWN,
        f"the artifact is a folder of {len(files)} files and none is called {', '.join(catalog.FILE_NAMES)}; "
        "rename the model file or let spec.model.uri name it",
    )


def require_known(path: Path, asked_format: str | None) -> str:
    """Gives the format to load with.

    A format the user asked for is believed: its loader says more about a wrong file than the first bytes do. Raises
    `StartFailure` (FormatUnknown) when the artifact is of no known format, or of one that this image can't serve.
    """
    found = asked_format or _of_folder(path) or _of_file(find_model_file(path))
    if found in catalog.FORMATS:
        catalog.require_served(found)
    return found


def _of_folder(path: Path) -> str | None:
    """Gives the format of a folder that is a model as a whole."""
    for key, one in catalog.FORMATS.items():
        if any((path / name).is_file() for name in one.folder_marks):
            return key
    return None


def _of_file(file: Path) -> str:
    head, members = read_head(file), read_members(file)
    # A file called like a format is meant for it, whatever its bytes say: the loader then tells what is wrong.
    found = infer_format(head, members) or catalog.by_suffix(file.name)
    if found is None:
        raise errors.StartFailure(
            errors.Reason.FORMAT_UNKNOWN,
            f"the artifact {file.name!r} is {describe(head, members)}, not a model this runtime knows; "
            "docs/formats.md says how to save each kind of model, for scikit-learn joblib.dump(model, 'model.joblib')",
        )
    return found


def read_head(file: Path) -> bytes:
    """Gives the first bytes of a file, enough for `infer_format` and `describe`."""
    with file.open("rb") as opened:
        return opened.read(_HEAD_BYTES)


def read_members(file: Path) -> tuple[str, ...]:
    """Gives the names of a ZIP archive's first member and of those at the end of its directory; else nothing."""
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
        if not head.startswith(b"PK\x03\x04"):
            return ()
        opened.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        tail = opened.read()
    names = [_name_at(head, 0, length_at=26, name_at=30)]
    entry = tail.find(b"PK\x01\x02")
    while entry >= 0:
        names.append(_name_at(tail, entry, length_at=28, name_at=46))
        entry = tail.find(b"PK\x01\x02", entry + 46)
    return tuple(names)


def _name_at(content: bytes, start: int, length_at: int, name_at: int) -> str:
    length = int.from_bytes(content[start + length_at : start + length_at + 2], "little")
    return content[start + name_at : start + name_at + length].decode("utf-8", "replace")


def _by_member(table: tuple[tuple[str, str], ...], members: Sequence[str]) -> str | None:
    for pattern, meaning in table:
        if any(re.fullmatch(pattern, name) for name in members):
            return meaning
    return None
