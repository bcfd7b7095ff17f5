"""The `fetch` command: URI → bytes on disk → verified → committed.

Called by `__main__`. Nothing parses the artifact before its digest is known to be right, and nothing is visible to
`serve` before the manifest is written. It must never log a credential or the query of a URI.
"""

import logging
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from modelyard_runtime import errors, fetchsettings, lifecycle
from modelyard_runtime.artifact import digest as digests
from modelyard_runtime.artifact import locking, manifest, policy, source, store, transfer
from modelyard_runtime.artifact import surroundings as surrounding
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.archives import layers, unpacking
from modelyard_runtime.artifact.sources import opening
from modelyard_runtime.formats import detection

if TYPE_CHECKING:
    from modelyard_runtime.artifact import signature

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
# Between attempts at one file. The kubelet starts the container again after that: minutes would only hide the reason.
_RETRY_DELAYS_SECONDS = (0.25, 0.5, 1.0, 2.0, 2.0)
MAX_SAMPLES_BYTES = 16 * 1024**2  # what a server would refuse as one request is no sample either


def fetch(
    options: fetchsettings.FetchSettings,
    ambient: MutableMapping[str, str],
    enter: Callable[[lifecycle.Stage], None],
    sleep: Callable[[float], None] = time.sleep,
) -> manifest.Manifest:
    """Brings the artifact to disk and gives its manifest; raises `StartFailure`.

    `ambient` is the process environment, for the pod's own cloud identity; it is given the proxy that libraries go out
    through. `enter` is told each stage as it begins.
    """
    enter(lifecycle.Stage.FETCHING)
    policy.check(options)
    location = uris.parse(options.uri)
    folder = store.Store(options.artifact_dir)
    surroundings = surrounding.build(options, ambient)
    surroundings.egress.announce(ambient)
    _fetch_samples(options, surroundings, folder, _Retrying(sleep))
    wanted = options.digest or options.locked_digest
    if (present := folder.complete(location.shown, wanted)) is not None:
        _log.info("already fetched", extra={"fields": {"uri": present.uri, "digest": present.digest}})
        return present
    origin = opening.open_source(location, surroundings)
    staged = folder.prepare(location.name)
    retrying = _Retrying(sleep)
    listing, actual_digest, size_bytes = _download(
        origin, staged, options.max_artifact_bytes, retrying, location.shown
    )
    enter(lifecycle.Stage.VERIFYING)
    _verify_digest(options.digest, actual_digest, location.shown)
    locking.check(options.locked_digest, actual_digest, location.shown)
    kept = _check_signature(options, surroundings, staged, actual_digest, retrying)
    unpacked = _unpack(listing, staged, options.max_artifact_bytes)
    if unpacked is not None:
        staged, size_bytes = unpacked.path, unpacked.size_bytes
    policy.check_format(options.rules, detection.require_known(staged, options.model_format))
    content_digest = unpacked.digest if unpacked is not None else None
    if kept is not None:
        content_digest, size_bytes = kept.digest, kept.size_bytes
    return folder.commit(staged, location.shown, actual_digest, size_bytes, content_digest)


def _unpack(listing: source.Listing, staged: Path, limit_bytes: int) -> unpacking.Unpacked | None:
    if listing.packed:
        return layers.unpack(staged, listing.packed, limit_bytes)
    return unpacking.unpack(staged, limit_bytes)


def _check_signature(
    options: fetchsettings.FetchSettings,
    surroundings: source.Surroundings,
    staged: Path,
    digest: str,
    retrying: "_Retrying",
) -> "signature.Kept | None":
    """Verifies the signature that is asked for; gives what it leaves of a folder."""
    if (asked := options.signature) is None:
        return None
    # Here, because its library takes a tenth of a second to import.
    from modelyard_runtime.artifact import signature, signature_bundle  # noqa: PLC0415

    def read() -> bytes:
        location = uris.parse(signature.uri_of(asked, options.uri))
        target = staged.with_name(f"{staged.name}.signature")
        try:
            origin = opening.open_source(location, surroundings)
            listing = retrying.run(origin.list_files)
            progress = transfer.Progress(location.shown)
            retrying.run(_attempt(origin, listing.files[0], target, signature.MAX_BYTES, progress))
        except errors.StartFailure as failure:
            if failure.reason is not errors.Reason.ARTIFACT_NOT_FOUND:
                raise
            raise signature_bundle.failure(
                f"there is no signature at {location.shown}; sign the artifact with `model_signing sign key` and put"
                " the signature there, or name it in spec.model.signature.uri"
            ) from None
        content = target.read_bytes()
        target.unlink()
        return content

    return signature.check(asked, staged, digest, read)


def _fetch_samples(
    options: fetchsettings.FetchSettings,
    surroundings: source.Surroundings,
    folder: store.Store,
    retrying: "_Retrying",
) -> None:
    """Brings the samples file beside the artifact, with the same credentials."""
    if options.samples_uri is None:
        folder.commit_samples(None)
        return
    location = uris.parse(options.samples_uri)
    origin = opening.open_source(location, surroundings)
    staged = folder.prepare_samples()
    listing = retrying.run(origin.list_files)
    if listing.is_folder or listing.packed:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            f"spec.validation.samplesURI: {location.shown} is a folder; name the JSON file with the samples",
        )
    progress = transfer.Progress(location.shown)
    retrying.run(_attempt(origin, listing.files[0], staged, MAX_SAMPLES_BYTES, progress))
    folder.commit_samples(staged)


def _download(
    origin: source.Source, staged: Path, limit_bytes: int, retrying: "_Retrying", shown: str
) -> tuple[source.Listing, str, int]:
    """Fetches every file below `staged` and gives what there was, the artifact's digest and size."""
    progress = transfer.Progress(shown)
    listing = retrying.run(origin.list_files)
    known_bytes = sum(file.size_bytes or 0 for file in listing.files)
    transfer.check_size(known_bytes, limit_bytes)
    progress.total_bytes = known_bytes or None
    written: dict[str, transfer.Written] = {}
    remaining = limit_bytes
    for file in listing.files:
        target = staged / file.path if listing.is_folder else staged
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise transfer.disk_failure(error) from error
        written[file.path] = retrying.run(_attempt(origin, file, target, remaining, progress))
        remaining -= written[file.path].size_bytes
    progress.finish()
    size_bytes = limit_bytes - remaining
    if not listing.is_folder:
        return listing, written[listing.files[0].path].digest, size_bytes
    return listing, digests.of_entries((path, one.digest) for path, one in written.items()), size_bytes


def _attempt(
    origin: source.Source, file: source.File, target: Path, limit_bytes: int, progress: transfer.Progress
) -> Callable[[], transfer.Written]:
    """Gives one whole transfer of one file as a callable that can be run again from the beginning."""
    done_before = progress.done_bytes

    def run() -> transfer.Written:
        progress.done_bytes = done_before
        content = origin.open_file(file)
        if progress.total_bytes is None:
            progress.total_bytes = content.size_bytes
        return transfer.check_digest(file, transfer.write_file(content, target, limit_bytes, progress))

    return run


class _Retrying:
    """Runs a step again when its failure may pass by itself."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep

    def run(self, step: Callable[[], _T]) -> _T:
        for attempt, delay_seconds in enumerate(_RETRY_DELAYS_SECONDS, start=1):
            try:
                return step()
            except errors.StartFailure as failure:
                if not failure.reason.is_retryable:
                    raise
                _log.warning(
                    "fetch attempt failed",
                    extra={
                        "fields": {
                            "attempt": attempt,
                            "retry_in_seconds": delay_seconds,
                            "problem": failure.message,
                        }
                    },
                )
                self._sleep(delay_seconds)
        return step()


def _verify_digest(pinned: str | None, actual: str, shown: str) -> None:
    if pinned is not None and pinned != actual:
        raise errors.StartFailure(
            errors.Reason.DIGEST_MISMATCH,
            f"{shown} has the digest {actual}, but spec.model.digest pins {pinned}; "
            "if the change is intended, set the new digest, otherwise publish the right file again",
        )
