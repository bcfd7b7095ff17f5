"""The `fetch` command: URI → bytes on disk → verified → committed.

Called by `__main__`. Nothing parses the artifact before its digest is known to be right, and nothing is visible to
`serve` before the manifest is written. It must never log a credential or the query of a URI.
"""

import logging
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path

from modelyard_runtime import errors, fetchsettings, lifecycle
from modelyard_runtime.artifact import (
    cache,
    download,
    locking,
    manifest,
    policy,
    retrying,
    signature_asking,
    source,
    store,
    volume,
)
from modelyard_runtime.artifact import surroundings as surrounding
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.archives import layers, unpacking
from modelyard_runtime.artifact.sources import opening
from modelyard_runtime.formats import detection

_log = logging.getLogger(__name__)
MAX_SAMPLES_BYTES = 16 * 1024**2  # what a server would refuse as one request is no sample either


def fetch(
    options: fetchsettings.FetchSettings,
    ambient: MutableMapping[str, str],
    enter: Callable[[lifecycle.Stage], None],
    sleep: retrying.Sleep = time.sleep,
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
    _fetch_samples(options, surroundings, folder, sleep)
    wanted = options.digest or options.locked_digest
    if (present := folder.complete(location.shown, wanted)) is not None:
        _log.info("already fetched", extra={"fields": {"uri": present.uri, "digest": present.digest}})
        return present
    origin = opening.open_source(location, surroundings)
    staged = folder.prepare(location.name)
    arrived = _bring(
        options, origin, staged, location.shown, cache.Cache(options.cache, location.scheme), sleep
    )
    actual_digest, size_bytes = arrived.digest, arrived.size_bytes
    enter(lifecycle.Stage.VERIFYING)
    _verify_digest(options.digest, actual_digest, location.shown)
    locking.check(options.locked_digest, actual_digest, location.shown)
    is_packed = bool(arrived.listing.packed)
    if not is_packed:
        kept = signature_asking.check(options, surroundings, staged, actual_digest, sleep)
    unpacked = _unpack(arrived.listing, staged, options.max_artifact_bytes)
    if unpacked is not None:
        staged, size_bytes = unpacked.path, unpacked.size_bytes
    if is_packed:  # what is signed was packed into layers afterwards
        kept = signature_asking.check(options, surroundings, staged, None, sleep)
    policy.check_format(options.rules, detection.require_known(staged, options.model_format))
    content_digest = unpacked.digest if unpacked is not None else None
    if kept is not None:
        content_digest, size_bytes = kept.digest, kept.size_bytes
    return folder.commit(staged, location.shown, actual_digest, size_bytes, content_digest)


def _unpack(listing: source.Listing, staged: Path, limit_bytes: int) -> unpacking.Unpacked | None:
    if listing.packed:
        return layers.unpack(staged, listing.packed, limit_bytes)
    return unpacking.unpack(staged, limit_bytes)


def _bring(
    options: fetchsettings.FetchSettings,
    origin: source.Source,
    staged: Path,
    shown: str,
    node_cache: cache.Cache,
    sleep: retrying.Sleep,
) -> download.Downloaded:
    """Brings the artifact from the node's cache, else from its source; what is verified is kept there."""
    wanted = options.digest or options.locked_digest
    taken_bytes = node_cache.take(wanted, staged)
    if taken_bytes is not None and wanted is not None:
        volume.check_size(taken_bytes, options.max_artifact_bytes)
        return download.Downloaded(source.Listing(staged.is_dir(), ()), wanted, taken_bytes)
    arrived = download.fetch_artifact(origin, staged, options.max_artifact_bytes, shown, sleep)
    if wanted in (None, arrived.digest) and not arrived.listing.packed:
        node_cache.put(arrived.digest, staged, arrived.size_bytes)
    return arrived


def _fetch_samples(
    options: fetchsettings.FetchSettings,
    surroundings: source.Surroundings,
    folder: store.Store,
    sleep: retrying.Sleep,
) -> None:
    """Brings the samples file beside the artifact, with the same credentials."""
    if options.samples_uri is None:
        folder.commit_samples(None)
        return
    location = uris.parse(options.samples_uri)
    origin = opening.open_source(location, surroundings)
    staged = folder.prepare_samples()
    listing = download.fetch_file(origin, staged, MAX_SAMPLES_BYTES, location.shown, sleep)
    if listing.is_folder or listing.packed:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID,
            f"spec.validation.samplesURI: {location.shown} is a folder; name the JSON file with the samples",
        )
    folder.commit_samples(staged)


def _verify_digest(pinned: str | None, actual: str, shown: str) -> None:
    if pinned is not None and pinned != actual:
        raise errors.StartFailure(
            errors.Reason.DIGEST_MISMATCH,
            f"{shown} has the digest {actual}, but spec.model.digest pins {pinned}; "
            "if the change is intended, set the new digest, otherwise publish the right file again",
        )
