"""Which artifacts are archives to unpack: a table of file names.

Used by `artifact.archives.unpacking`. The name decides and never the bytes: a Keras, skops, torch or NumPy file is a
ZIP archive too, and stays whole for the library that reads it. Pure.
"""

import enum


class Kind(enum.Enum):
    """A way to pack a folder into one file."""

    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_ZST = "tar.zst"
    ZIP = "zip"


# Ending → kind, the longest first.
ENDINGS: tuple[tuple[str, Kind], ...] = (
    (".tar.zst", Kind.TAR_ZST),
    (".tar.gz", Kind.TAR_GZ),
    (".tgz", Kind.TAR_GZ),
    (".tar", Kind.TAR),
    (".zip", Kind.ZIP),
)


def find(name: str) -> Kind | None:
    """Gives the kind of archive that a file of this name is, None for any other file."""
    return next((kind for ending, kind in ENDINGS if name.lower().endswith(ending)), None)


def folder_name(name: str) -> str:
    """Gives the name of the folder that an archive's content goes to: its own without the ending."""
    ending = next(ending for ending, _ in ENDINGS if name.lower().endswith(ending))
    stem = name[: -len(ending)]
    return stem if stem.strip(".") else "model"
