"""The sha256 of a file that is still being written: from the page cache, behind the writers, in a thread of its own.

Used by `artifact.transfer`. A second pass over a large file would cost as much as its transfer; bytes that were written
a moment ago cost next to nothing to read again. It reads what is known to be written and never writes.
"""

import hashlib
import os
import threading

_CHUNK_BYTES = 1024 * 1024
_THREAD_FROM_BYTES = 8 * 1024 * 1024  # less is hashed at the end, sooner than a thread would start


class Follower:
    """Hashes a file from its beginning as far as it is whole."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = memoryview(bytearray(_CHUNK_BYTES))
        self._changed = threading.Condition()
        self._hasher = hashlib.sha256()
        self._hashed = 0
        self._whole = 0
        self._is_over = False
        self._failure: OSError | None = None
        self._thread: threading.Thread | None = None

    def advance(self, whole: int) -> None:
        """Takes note that the first `whole` bytes are written."""
        with self._changed:
            self._whole = max(self._whole, whole)
            if self._thread is None and self._whole >= _THREAD_FROM_BYTES:
                self._thread = threading.Thread(target=self._follow, name="hashing", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait_for(self, offset: int, within: int) -> None:
        """Waits until no more than `within` bytes before `offset` are unhashed, so that they are still in memory."""
        with self._changed:
            if self._thread is not None:
                self._changed.wait_for(
                    lambda: (
                        self._is_over or self._failure or min(offset, self._whole) - self._hashed <= within
                    )
                )

    def finish(self) -> str:
        """Gives `sha256:<hex>` of what was written; raises `OSError` as the disk does."""
        self.stop()
        while self._hashed < self._whole and self._failure is None:
            self._hash_more()
        if self._failure is not None:
            raise self._failure
        return f"sha256:{self._hasher.hexdigest()}"

    def stop(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over or self._hashed < self._whole)
                if self._is_over:
                    return
            try:
                self._hash_more()
            except OSError as error:
                self._failure = error
            with self._changed:
                self._changed.notify_all()
                if self._failure is not None:
                    return

    def _hash_more(self) -> None:
        wanted = self._buffer[: min(_CHUNK_BYTES, self._whole - self._hashed)]
        read = os.preadv(self._descriptor, [wanted], self._hashed)
        if not read:
            raise OSError("the file is shorter than what was written")
        self._hasher.update(wanted[:read])
        self._hashed += read
