"""How far a fetch has come, told to the log every few seconds.

Used by `artifact.download` and `artifact.transfer`, by several threads at once. It must never be given more of a URI
than is shown to people.
"""

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)
_REPORT_SECONDS = 3.0


class Progress:
    """Tells the log, every few seconds, how far a fetch has come."""

    def __init__(self, shown: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._shown = shown
        self._clock = clock
        self._lock = threading.Lock()
        self._started_at = clock()
        self._reported_at = self._started_at
        self.done_bytes = 0
        self.total_bytes: int | None = None

    def add(self, size_bytes: int) -> None:
        """Counts bytes that have arrived; logs a line when the last one is some seconds old."""
        with self._lock:
            self.done_bytes += size_bytes
            now = self._clock()
            if now - self._reported_at < _REPORT_SECONDS:
                return
            self._reported_at = now
            figures = self._figures(now)
        _log.info("fetching", extra={"fields": {"uri": self._shown, **figures}})

    def take_back(self, size_bytes: int) -> None:
        """Uncounts bytes that have to come again."""
        with self._lock:
            self.done_bytes -= size_bytes

    def finish(self) -> None:
        """Logs the totals."""
        _log.info("fetched", extra={"fields": {"uri": self._shown, **self._figures(self._clock())}})

    def _figures(self, now: float) -> dict[str, float | int]:
        elapsed = max(now - self._started_at, 1e-6)
        rate = self.done_bytes / elapsed
        figures: dict[str, float | int] = {
            "bytes": self.done_bytes,
            "seconds": round(elapsed, 2),
            "mib_per_second": round(rate / 1024**2, 1),
        }
        if self.total_bytes is not None and rate > 0:
            figures["total_bytes"] = self.total_bytes
            figures["remaining_seconds"] = round(max(self.total_bytes - self.done_bytes, 0) / rate, 1)
        return figures
