"""The digest of an artifact: of a file's bytes, or of the sorted list of a folder's files.

Called by `artifact.fetch` (while writing) and `artifact.store` (to check what is already there).
It reads files and never changes one; the folder rule itself is pure.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_CHUNK_BYTES = 1024 * 1024


def of_file(path: Path) -> str:
    """Gives `sha256:<hex>` of a file's bytes, in constant memory."""
    with path.open("rb") as file:
        hasher = hashlib.sha256()
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return f"sha256:{hasher.hexdigest()}"


def of_entries(entries: Iterable[tuple[str, str]]) -> str:
    """Gives the folder digest for (relative POSIX path, `sha256:<hex>` of the file) pairs, in any order.

    It is the sha256 over the lines `path NUL hex LF`, sorted as bytes, so that it depends neither on the locale nor on
    the order in which a server lists.
    """
    lines = sorted(
        f"{path}\0{file_digest.removeprefix('sha256:')}\n".encode() for path, file_digest in entries
    )
    return f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}"


def of_path(path: Path) -> str:
    """Gives the digest of a file or of a folder."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return of_entries((file.relative_to(path).as_posix(), of_file(file)) for file in files)
    return of_file(path)
