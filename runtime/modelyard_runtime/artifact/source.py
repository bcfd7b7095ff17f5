"""What `artifact.fetch` asks of a place that holds artifacts; one implementation per kind of place.

Implemented by the modules of `artifact.sources`. Pure: types only.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from modelyard_runtime.artifact import credentials as secrets
from modelyard_runtime.artifact import egress as door
from modelyard_runtime.artifact.archives import kinds


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What every source is given beside its URI.

    Credentials, the process environment with the pod's identity, the folder that volumes are mounted below, the one
    door out for connections, the folders in which `file:` may name something, and the administrator's patterns of URIs
    for what is found elsewhere than the URI says (none: anywhere).
    """

    credentials: secrets.Credentials = secrets.NONE
    ambient: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    mount_dir: Path = Path("/mnt")
    egress: door.Egress = dataclasses.field(default_factory=door.Egress)
    file_roots: tuple[Path, ...] = ()
    allowed_uris: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact: its POSIX path below the artifact's root (empty for a single file) and size if known.

    `digest` is what the place itself says of its bytes, as `sha256:<hex>`; what arrives is checked against it.
    """

    path: str
    size_bytes: int | None
    digest: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """The files of an artifact.

    `packed` are the paths of those that are archives by the place's own word (layers of an image): unpacked, in this
    order and over the other files, they are the artifact's content.
    """

    is_folder: bool
    files: tuple[File, ...]
    packed: Mapping[str, kinds.Kind] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file from `start` up to, and without, `end`; None is the end of the file."""

    start: int
    end: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """An opened file and its bytes in bounded chunks.

    `size_bytes` is the size of the whole file if known, whatever the span. The same `version` (ETag, generation) means
    the same bytes; None means that nothing tells. `is_span` says that the chunks are the span that was asked for (its
    end cut at the file's); otherwise they are the whole file, whatever was asked.
    """

    size_bytes: int | None
    chunks: Iterator[bytes]
    version: str | None = None
    is_span: bool = False


class Source(Protocol):
    """A place that holds the artifact. Both methods raise `StartFailure`; FetchFailed alone is worth a retry."""

    def list_files(self) -> Listing:
        """Gives the artifact's files."""
        ...

    def open_file(self, file: File, span: Span | None = None) -> Content:
        """Starts reading one file: a span of it where one is asked for and the place has spans, else the whole."""
        ...
