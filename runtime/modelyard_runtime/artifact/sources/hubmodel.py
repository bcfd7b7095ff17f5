"""What a hub says of one revision of a repository: its commit, its files, and which of them are part of a model.

Used by `sources.huggingface`. Pure: an answer of the hub goes in, a value or a `StartFailure` comes out.
"""

import dataclasses
import re

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.artifact import references, source

MAX_BYTES = 16 * 1024 * 1024  # of the answer: some 150 bytes for each file
MAX_FILES = 10_000
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Files for people and for git, in a repository's first folder; hidden files are left out anywhere.
_LEFT_OUT = re.compile(r"(?i)(readme|license|licence|notice)(\.[^/]*)?")


class _Lfs(msgspec.Struct, frozen=True):
    sha256: str = ""


class _Sibling(msgspec.Struct, frozen=True):
    rfilename: str
    size: int | None = None
    lfs: _Lfs | None = None


class _Model(msgspec.Struct, frozen=True):
    sha: str
    siblings: list[_Sibling] = []


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The wanted files of one commit; `prefix` is what their paths lack of those in the repository."""

    commit: str
    prefix: str
    listing: source.Listing


def read(content: bytes, named: references.HubRepository, shown: str) -> Snapshot:
    """Gives the snapshot that a URI names; raises `StartFailure`."""
    try:
        model = msgspec.json.decode(content, type=_Model)
    except msgspec.DecodeError:
        raise _unusable(shown, "the hub's answer about it can't be read; is HF_ENDPOINT a hub?") from None
    if not _COMMIT.fullmatch(model.sha):
        raise _unusable(shown, "the hub does not say which commit it is")
    if len(model.siblings) > MAX_FILES:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_TOO_LARGE,
            f"{shown} has more than {MAX_FILES} files; name the model's own folder or file",
        )
    if named.path:
        for one in model.siblings:
            if one.rfilename == named.path:
                return Snapshot(model.sha, named.path, source.Listing(False, (_file(one, "", shown),)))
    prefix = f"{named.path}/" if named.path else ""
    files = tuple(
        _file(one, one.rfilename.removeprefix(prefix), shown)
        for one in model.siblings
        if one.rfilename.startswith(prefix) and (prefix or _is_of_model(one.rfilename))
    )
    if not files:
        raise _missing(model, named, shown)
    return Snapshot(model.sha, prefix, source.Listing(True, files))


def _is_of_model(path: str) -> bool:
    return not any(part.startswith(".") for part in path.split("/")) and not _LEFT_OUT.fullmatch(path)


def _file(one: _Sibling, path: str, shown: str) -> source.File:
    if path and references.plain_path(path.replace("%", "%25")) != path:
        raise _unusable(shown, f"it holds {path[:200]!r}, which can't be a file name")
    is_checked = one.lfs is not None and _SHA256.fullmatch(one.lfs.sha256)
    return source.File(path, one.size, f"sha256:{one.lfs.sha256}" if one.lfs and is_checked else None)


def _missing(model: _Model, named: references.HubRepository, shown: str) -> errors.StartFailure:
    if not named.path:
        return errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND, f"{shown} has no file that could be part of a model"
        )
    some = ", ".join(sorted(one.rfilename for one in model.siblings if _is_of_model(one.rfilename))[:10])
    return errors.StartFailure(
        errors.Reason.ARTIFACT_NOT_FOUND,
        f"{shown}: the repository has no {named.path!r} at {named.revision!r}; it has {some or 'no files'}",
    )


def _unusable(shown: str, problem: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.FETCH_FAILED, f"{shown} can't be fetched: {problem}")
