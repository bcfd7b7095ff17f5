"""Whether the fetched bytes are those that the holder of a key has signed.

Called by `artifact.fetch` after the digest and before anything is unpacked or parsed. Every file must be signed; what
the signer left out on purpose (git's files, the signature itself) is removed, so that nothing unsigned is ever loaded.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from modelyard_runtime import errors, fetchsettings, secretfiles
from modelyard_runtime.artifact import digest as digests
from modelyard_runtime.artifact import policy, volume
from modelyard_runtime.artifact import signature_bundle as bundles

_log = logging.getLogger(__name__)
MAX_BYTES = 16 * 1024**2  # 10,000 files take 3 MB
FOLDER_FILE = "model.sig"
# Where the name of a file's signature is the file's own and this ending.
_FILE_ENDING = ".sig"
_SCHEMES_WITH_FILES = ("file", "pvc", "http", "https", "s3", "gs", "az", "hf")
_CHUNK_BYTES = 1024 * 1024
_SHOWN_NAMES = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a signed folder once everything unsigned is removed: its digest and bytes."""

    digest: str
    size_bytes: int


def uri_of(asked: fetchsettings.SignatureSettings, uri: str) -> str:
    """Gives where the signature of a single file is; raises `StartFailure` (SignatureInvalid) where nobody can know."""
    if asked.uri is not None:
        return asked.uri
    scheme = uri.partition(":")[0].lower()
    if scheme not in _SCHEMES_WITH_FILES:
        raise bundles.failure(
            f"name the signature in spec.model.signature.uri: for {scheme}: there is no rule for it"
        )
    path, mark, query = uri.partition("?") if scheme in ("http", "https") else (uri, "", "")
    return f"{path}{_FILE_ENDING}{mark}{query}"


def check(
    asked: fetchsettings.SignatureSettings,
    rules: fetchsettings.Rules,
    staged: Path,
    digest: str | None,
    read: Callable[[], bytes],
) -> Kept | None:
    """Verifies a fetched file or folder; gives what is left of it, None when nothing had to be removed.

    `digest` is a single file's, if known; `read` fetches a signature that is not in the folder. Raises `StartFailure`:
    SecretMissing without a key, PolicyViolation without one that is allowed, SignatureInvalid, or what `read` raises.
    """
    given = {bundles.fingerprint(key): key for key in bundles.read_keys(_read_key(asked))}
    keys = policy.trusted_keys(rules, given)
    is_inside = staged.is_dir() and asked.uri is None
    signed = bundles.verify(_read_inside(staged) if is_inside else read(), keys)
    if not staged.is_dir():
        _check_file(signed, staged, digest)
        return None
    return _check_folder(signed, staged, FOLDER_FILE if is_inside else None)


def _read_key(asked: fetchsettings.SignatureSettings) -> bytes:
    content = secretfiles.read(asked.key_dir).get(asked.key)
    if not content:
        raise errors.StartFailure(
            errors.Reason.SECRET_MISSING,
            f"spec.model.signature.publicKey: the Secret does not exist in this namespace, or has no key {asked.key!r};"
            " put the public key there, as PEM",
        )
    return content


def _read_inside(staged: Path) -> bytes:
    try:
        with (staged / FOLDER_FILE).open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        raise bundles.failure(
            f"there is no signature: the artifact has no file {FOLDER_FILE}; sign it with `model_signing sign key`, or"
            " name the signature in spec.model.signature.uri"
        ) from None


def _check_file(signed: bundles.Signed, staged: Path, digest: str | None) -> None:
    if set(signed.files) != {"."}:
        raise bundles.failure(
            "the signature is of a folder, and the artifact is a single file; sign the file itself"
        )
    if _digest(staged, signed.algorithm, digest) != signed.files["."]:
        raise bundles.failure("the artifact is not the one that was signed: its bytes differ; sign it again")


def _check_folder(signed: bundles.Signed, staged: Path, signature_file: str | None) -> Kept | None:
    present = {path.relative_to(staged).as_posix(): path for path in staged.rglob("*") if path.is_file()}
    if set(signed.files) == {"."}:
        raise bundles.failure(
            "the signature is of a single file, and the artifact is a folder; sign the folder"
        )
    if missing := sorted(signed.files.keys() - present.keys()):
        raise bundles.failure(f"{_named(missing)} was signed and is missing; publish the whole folder again")
    unsigned = sorted(present.keys() - signed.files.keys())
    left_out = [name for name in unsigned if name == signature_file or _is_left_out(name, signed.left_out)]
    if extra := [name for name in unsigned if name not in left_out]:
        raise bundles.failure(f"{_named(extra)} is not signed; remove it, or sign the folder again")
    for name, expected in signed.files.items():
        if _digest(present[name], signed.algorithm) != expected:
            raise bundles.failure(
                f"{name!r} is not the file that was signed: its bytes differ; sign the folder again"
            )
    return _remove(staged, left_out, present) if left_out else None


def _remove(staged: Path, names: list[str], present: Mapping[str, Path]) -> Kept:
    try:
        for name in names:
            present[name].unlink()
    except OSError as error:
        raise volume.disk_failure(error) from error
    _log.info("unsigned files left out", extra={"fields": {"files": len(names), "first": names[0]}})
    size_bytes = sum(path.stat().st_size for name, path in present.items() if name not in names)
    return Kept(digests.of_path(staged), size_bytes)


def _is_left_out(name: str, left_out: tuple[str, ...]) -> bool:
    """Says whether a file is one of those paths, or in a folder that is."""
    return any(
        PurePosixPath(name).is_relative_to(PurePosixPath(path)) for path in left_out if path.strip("./")
    )


def _digest(path: Path, algorithm: str, known: str | None = None) -> str:
    """Gives the hexadecimal digest of a file; `known` is its sha256."""
    if algorithm == "sha256":
        return (known or digests.of_file(path)).removeprefix("sha256:")
    hasher = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(map(repr, names[:_SHOWN_NAMES])) + more
