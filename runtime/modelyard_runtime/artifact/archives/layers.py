"""The layers of an image or of a packed artifact → one folder in their place.

Called by `artifact.fetch` once the digest of all layers is right. As `unpacking` does with one archive, but they share
one folder: the same file in two of them, and a mark by which one takes away what another has brought, are refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import volume
from modelyard_runtime.artifact.archives import folder, kinds, limits, unpacking

_CHUNK_BYTES = 1024 * 1024
_WHITEOUT = ".wh."


def unpack(staged: Path, packed: Mapping[str, kinds.Kind], max_bytes: int) -> unpacking.Unpacked:
    """Unpacks the archives at `packed`, paths below `staged` or empty for itself, into its place; other files stay.

    `max_bytes` is what the archives and their content may have together. Raises `StartFailure`: ArchiveRefused, naming
    the entry.
    """
    archives = [staged / path if path else staged for path in packed]
    archive_bytes = sum(path.stat().st_size for path in archives)
    budget = unpacking.ReportingBudget(limits.Limits(max(0, max_bytes - archive_bytes)), archive_bytes)
    target = staged.with_name(f"{staged.name}.unpacked")
    with _Layers(target, budget).opened() as into:
        try:
            for kind, archive in zip(packed.values(), archives, strict=True):
                unpacking.unpack_kind(kind, archive, into)
                archive.unlink()
        except errors.StartFailure as failure:
            raise _with_remedy(failure) from failure
        for path in _files(staged):
            into.add_file(path.relative_to(staged).as_posix(), _read(path))
            path.unlink()
    if into.is_empty:
        raise limits.damage("it holds no file")
    top = into.top()
    try:
        _remove(staged)
        unpacking.move(target, top, staged)
    except OSError as error:
        raise volume.disk_failure(error) from error
    budget.finish()
    return unpacking.Unpacked(staged, into.digest(top), budget.file_bytes)


class _Layers(folder.Folder):
    """A folder that layers are put into, where nothing can be taken away again."""

    def add_file(self, name: str, chunks: Iterable[bytes], is_program: bool = False) -> None:
        """Writes a file, unless it is the mark of a file that is to go."""
        if name.rpartition("/")[2].startswith(_WHITEOUT):
            raise limits.refusal(name, "takes away what another layer has brought")
        super().add_file(name, chunks, is_program)


def _with_remedy(failure: errors.StartFailure) -> errors.StartFailure:
    if failure.reason is not errors.Reason.ARCHIVE_REFUSED:
        return failure
    return errors.StartFailure(
        failure.reason,
        f"{failure.message} (layers are unpacked only if they hold a model and nothing else; let the node mount any "
        "other image: oci+volume://)",
    )


def _files(staged: Path) -> list[Path]:
    return sorted(path for path in staged.rglob("*") if path.is_file()) if staged.is_dir() else []


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _remove(staged: Path) -> None:
    """Removes the folders that are left of what has been taken out."""
    if not staged.is_dir():
        return
    for path in sorted(staged.rglob("*"), reverse=True):
        path.rmdir()
    staged.rmdir()
