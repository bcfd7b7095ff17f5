"""How much may come out of an archive, counted while it comes out.

Used by everything in `artifact.archives`; `Budget` is the one place where a bomb is recognised. What is refused is
said by name. It must never look at a file.
"""

import dataclasses

from modelyard_runtime import errors

MAX_ENTRIES = 10_000  # as many as an artifact in a bucket may have (sources.s3)
MAX_DEPTH = 32
MAX_NAME_BYTES = 255  # what file systems allow for one part
MAX_PATH_BYTES = 1024
MAX_RATIO = 100  # text and zeros reach more, trained numbers don't: gzip makes them 1.1 to 10 times smaller
# Beside what the ratio allows: small archives of text may have any.
RATIO_FREE_BYTES = 64 * 1024**2
# Headers and padding, beside the files: 10,000 entries with two extension headers each.
OVERHEAD_BYTES = 64 * 1024**2
_SHOWN_CHARACTERS = 120


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one artifact may unpack to: the bytes of all files, and how many entries."""

    max_bytes: int
    max_entries: int = MAX_ENTRIES


class Budget:
    """What has come out of one archive, or of all layers of one artifact, and whether that is still allowed."""

    def __init__(self, limits: Limits, archive_bytes: int) -> None:
        self._limits = limits
        self._archive_bytes = archive_bytes
        self.entries = 0
        self.file_bytes = 0
        self._stream_bytes = 0

    def add_entry(self, name: str) -> None:
        """Counts one entry; raises `StartFailure` (ArchiveRefused) when there are too many."""
        self.entries += 1
        if self.entries > self._limits.max_entries:
            raise refusal(name, f"is one more than the {self._limits.max_entries} entries that are allowed")

    def add_bytes(self, name: str, size_bytes: int) -> None:
        """Counts bytes of a file; raises `StartFailure` (ArchiveRefused) when it is too much."""
        self.file_bytes += size_bytes
        self._check(name, self.file_bytes, self._limits.max_bytes)

    def add_stream(self, name: str, size_bytes: int) -> None:
        """Counts bytes that a decompressor gave, whatever they are; raises as `add_bytes` does."""
        self._stream_bytes += size_bytes
        self._check(name, self._stream_bytes, self._limits.max_bytes + OVERHEAD_BYTES)

    def check_announced(self, name: str, size_bytes: int) -> None:
        """Raises `StartFailure` (ArchiveRefused) when a file's header announces more than may still come."""
        self._check(name, self.file_bytes + size_bytes, self._limits.max_bytes)

    def _check(self, name: str, size_bytes: int, limit_bytes: int) -> None:
        if size_bytes > limit_bytes:
            raise refusal(
                name,
                f"brings what is unpacked to more than the {self._limits.max_bytes} bytes that are left for it beside"
                " the archive (MODELYARD_MAX_ARTIFACT_BYTES); pack less, or ask the administrator to raise the limit",
            )
        if size_bytes > RATIO_FREE_BYTES + MAX_RATIO * self._archive_bytes:
            raise refusal(
                name,
                f"unpacks to more than {MAX_RATIO} times the size of the archive, which no trained model does; name"
                " the model's own folder or file instead of an archive",
            )


def refusal(name: str, problem: str) -> errors.StartFailure:
    """Gives the failure of an archive for what is wrong with one of its entries."""
    return errors.StartFailure(
        errors.Reason.ARCHIVE_REFUSED, f"the archive is refused: its entry {shown(name)} {problem}"
    )


def damage(problem: str) -> errors.StartFailure:
    """Gives the failure of an archive that is none, or is not whole."""
    return errors.StartFailure(
        errors.Reason.ARCHIVE_REFUSED, f"the archive is refused: {problem}; pack and publish it again"
    )


def shown(name: str) -> str:
    """Gives an entry's name as people may see it: quoted, without control characters, its middle left out if long."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if len(text) > _SHOWN_CHARACTERS:
        half = _SHOWN_CHARACTERS // 2
        text = f"{text[:half]}…{text[-half:]}"
    return repr(text)
