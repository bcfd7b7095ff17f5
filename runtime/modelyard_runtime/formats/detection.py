"""What kind of file an artifact is, told from its first bytes.

Called by `artifact.fetch` after the digest is right (so that a wrong file fails early) and by `loading` to choose the
adapter. It reads at most a few hundred bytes and must never parse, unpack or import what it looks at.
"""

import re
from pathlib import Path

from modelyard_runtime import errors

_HEAD_BYTES = 512
# A file called like this is meant for scikit-learn, whatever its bytes say: the loader then tells what is wrong.
_SUFFIXES = (".joblib", ".pkl", ".pickle")
# In a folder, the file to load. The first that exists is taken.
_FILE_NAMES = ("model.joblib", "model.pkl", "model.pickle")

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
    (b"{", "a JSON file"),
    (b"tree\n", "a LightGBM text model"),
    (b"CBM1", "a CatBoost model"),
)
_MARKUP = re.compile(rb"\s*<(!doctype\s+html|html|head|body)", re.IGNORECASE)
_XML = re.compile(rb"\s*<(\?xml|[A-Za-z])")
# joblib compresses with these; the file then starts with the compressor's own mark.
_COMPRESSED = (
    b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda",  # zlib
    b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x04\x22\x4d\x18",  # gzip, bzip2, xz, lzma, lz4
)  # fmt: skip


def infer_format(head: bytes) -> str | None:
    """Gives the format that a file's first bytes stand for, or None."""
    is_binary_pickle = len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5
    if is_binary_pickle or head.startswith(_COMPRESSED):
        return "sklearn"
    return None


def describe(head: bytes) -> str:
    """Gives what a file that is no model looks like, to complete "it is …"."""
    if not head:
        return "empty"
    if _MARKUP.match(head):
        return "an HTML page (a login or error page instead of the file?)"
    for mark, name in _LOOKS:
        if head.startswith(mark):
            return name
    if _XML.match(head):
        return "an XML document"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "a text file"
    return "a file of an unknown kind"


def find_model_file(path: Path) -> Path:
    """Gives the file to load: the artifact itself or, in a folder, the one with a known name or the only one.

    Raises `StartFailure` (FormatUnknown) when a folder leaves a choice.
    """
    if path.is_file():
        return path
    for name in _FILE_NAMES:
        if (path / name).is_file():
            return path / name
    files = [file for file in path.rglob("*") if file.is_file()]
    if len(files) == 1:
        return files[0]
    raise errors.StartFailure(
        errors.Reason.FORMAT_UNKNOWN,
        f"the artifact is a folder of {len(files)} files and none is called {', '.join(_FILE_NAMES)}; "
        "rename the model file or let spec.model.uri name it",
    )


def require_known(path: Path, asked_format: str | None) -> str:
    """Gives the format to load with; raises `StartFailure` (FormatUnknown) when the file is of none that is served.

    A format the user asked for is believed: its loader says more about a wrong file than the first bytes do.
    """
    if asked_format is not None:
        return asked_format
    file = find_model_file(path)
    head = read_head(file)
    found = infer_format(head)
    if found is None and file.suffix.lower() in _SUFFIXES:
        return "sklearn"
    if found is None:
        raise errors.StartFailure(
            errors.Reason.FORMAT_UNKNOWN,
            f"the artifact {file.name!r} is {describe(head)}, not a model this runtime knows; "
            "save the fitted scikit-learn estimator with joblib.dump and publish that file",
        )
    return found


def read_head(file: Path) -> bytes:
    """Gives the first bytes of a file, enough for `infer_format` and `describe`."""
    with file.open("rb") as opened:
        return opened.read(_HEAD_BYTES)
