"""Which names an entry of an archive may have, and that no two of them mean the same file anywhere.

Used by `artifact.archives.folder` for each entry before anything is written. Pure.
"""

import re
import unicodedata

from modelyard_runtime.artifact.archives import limits

_DRIVE = re.compile(r"[A-Za-z]:")


def parse(name: str) -> tuple[str, ...]:
    """Gives the parts of an entry's path, none for the archive's own root.

    Raises `StartFailure` (ArchiveRefused), naming the entry, for a path that leads out of the folder or that another
    system would read in another way.
    """
    if name.startswith("/"):
        raise limits.refusal(name, "has an absolute path")
    if "\\" in name:
        raise limits.refusal(name, "has a backslash in its name")
    if _DRIVE.match(name):
        raise limits.refusal(name, "begins with a drive letter")
    if not name.isprintable():
        raise limits.refusal(name, "has a control character, or bytes that are no UTF-8 text, in its name")
    parts = name.removesuffix("/").split("/")
    while parts and parts[0] == ".":  # tar writes ./ before every name when it packs "."
        parts = parts[1:]
    if ".." in parts:
        raise limits.refusal(name, "leads out of the folder with '..'")
    if any(part in ("", ".") for part in parts):
        raise limits.refusal(name, "has an empty or '.' part in its path")
    _check_lengths(name, parts)
    return tuple(parts)


def _check_lengths(name: str, parts: list[str]) -> None:
    if len(parts) > limits.MAX_DEPTH:
        raise limits.refusal(name, f"is more than {limits.MAX_DEPTH} folders deep")
    if any(len(part.encode()) > limits.MAX_NAME_BYTES for part in parts):
        raise limits.refusal(name, f"has a name of more than {limits.MAX_NAME_BYTES} bytes")
    if len(name.encode()) > limits.MAX_PATH_BYTES:
        raise limits.refusal(name, f"has a path of more than {limits.MAX_PATH_BYTES} bytes")


class Taken:
    """The paths that are taken, so that each means one file on every file system."""

    def __init__(self) -> None:
        self._spelled: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._files: set[tuple[str, ...]] = set()

    def add_folder(self, name: str, parts: tuple[str, ...]) -> None:
        """Takes a folder and those above it; raises `StartFailure` (ArchiveRefused) when one of them is taken."""
        for length in range(1, len(parts) + 1):
            key = self._check_spelling(name, parts[:length])
            if key in self._files:
                raise limits.refusal(
                    name, f"uses the file {limits.shown('/'.join(parts[:length]))} as a folder"
                )
            self._spelled[key] = parts[:length]

    def add_file(self, name: str, parts: tuple[str, ...]) -> None:
        """Takes a file and the folders above it; raises `StartFailure` (ArchiveRefused) when one is taken."""
        self.add_folder(name, parts[:-1])
        key = self._check_spelling(name, parts)
        if key in self._spelled:
            raise limits.refusal(name, "is there twice")
        self._spelled[key] = parts
        self._files.add(key)

    def _check_spelling(self, name: str, parts: tuple[str, ...]) -> tuple[str, ...]:
        key = tuple(_fold(part) for part in parts)
        present = self._spelled.get(key, parts)
        if present != parts:
            other = limits.shown("/".join(present))
            raise limits.refusal(
                name, f"differs from {other} only by case or by how Unicode writes the letters"
            )
        return key


def _fold(part: str) -> str:
    """Gives what is left of a name when case and the form of its letters do not count."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold())
