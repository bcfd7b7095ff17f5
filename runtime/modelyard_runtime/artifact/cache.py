"""The node cache: artifacts that a node has fetched before, by their digest.

Called by `artifact.fetch`. An artifact is taken from it only where its digest is known before (pinned or locked), and
is hashed while it is copied: what the cache holds is never trusted. Entries belong to a namespace: who knows a digest
has not shown any right to its bytes. Whatever goes wrong with the cache is logged and is no failure of a fetch.
"""

import errno
import logging
import shutil
import time
from pathlib import Path

from modelyard_runtime import fetchsettings
from modelyard_runtime.artifact import cache_copying, cache_entries

_log = logging.getLogger(__name__)
# What a fetch from there costs, the cache costs too; and an image's layers are more than their digest says.
_SCHEMES_WITHOUT = ("file", "pvc", "oci+volume", "oci")
_TARGET_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Cache:
    """The cache as one fetch sees it; without settings, or for a scheme that gains nothing, it is always empty."""

    def __init__(self, settings: fetchsettings.CacheSettings | None, scheme: str) -> None:
        self._settings = settings if scheme not in _SCHEMES_WITHOUT else None

    def take(self, digest: str | None, target: Path) -> int | None:
        """Copies the artifact with this digest to a path; gives its bytes, None when it is not to be had here."""
        if self._settings is None or digest is None:
            return None
        try:
            entries = cache_entries.Entries(self._settings.directory, self._settings.max_bytes)
            with entries.reading(self._key(digest)) as content:
                size_bytes = None if content is None else self._copy(content, target, digest)
            if size_bytes is None and content is not None:
                entries.drop(self._key(digest))
        except OSError as error:
            self._warn("node cache can't be read", error)
            _remove(target)
            return None
        return size_bytes

    def put(self, digest: str, source: Path, size_bytes: int) -> None:
        """Keeps a verified artifact for the next pod, where there is room for it."""
        if self._settings is None:
            return
        started = time.monotonic()
        try:
            entries = cache_entries.Entries(self._settings.directory, self._settings.max_bytes)
            with entries.writing(self._key(digest), size_bytes) as place:
                if place is None:
                    return
                target, commit = place
                if cache_copying.copy(source, target, is_durable=True).digest == digest:
                    commit()
        except OSError as error:
            self._warn("node cache can't be written", error)
            return
        seconds = round(time.monotonic() - started, 2)
        _log.info("kept in the node cache", extra={"fields": {"digest": digest, "seconds": seconds}})

    def _copy(self, content: Path, target: Path, digest: str) -> int | None:
        """Gives the bytes copied; None, and nothing left at the target, when they are not the right ones."""
        started = time.monotonic()
        try:
            copied = cache_copying.copy(content, target)
        except OSError as error:
            if error.errno in _TARGET_IS_FULL:
                raise
            copied = None
        if copied is None or copied.digest != digest:
            _log.warning("node cache held other bytes: dropped", extra={"fields": {"digest": digest}})
            _remove(target)
            return None
        seconds = round(time.monotonic() - started, 2)
        fields = {"digest": digest, "bytes": copied.size_bytes, "seconds": seconds}
        _log.info("taken from the node cache", extra={"fields": fields})
        return copied.size_bytes

    def _key(self, digest: str) -> str:
        scope = self._settings.scope if self._settings is not None else ""
        return f"{digest.removeprefix('sha256:')}.{scope}"

    def _warn(self, what: str, error: OSError) -> None:
        directory = str(self._settings.directory) if self._settings is not None else ""
        _log.warning(
            what,
            extra={"fields": {"directory": directory, "problem": error.strerror or type(error).__name__}},
        )


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)
