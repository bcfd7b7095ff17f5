"""How far it has come, for a person who waits: nothing for two seconds, then one line on standard error.

On a terminal the line is written over; elsewhere a new one comes every ten seconds. Used by `digesting`.
"""

import time
from collections.abc import Callable
from typing import TextIO

_QUIET_SECONDS = 2.0
_TERMINAL_SECONDS = 0.5
_LOG_SECONDS = 10.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class Progress:
    """Bytes done, of how many, how fast."""

    def __init__(
        self, output: TextIO, is_terminal: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output
        self._is_terminal = is_terminal
        self._clock = clock
        self._started_at = clock()
        self._next_at = self._started_at + _QUIET_SECONDS
        self._has_line = False
        self.done_bytes = 0
        self.total_bytes: int | None = None

    def add(self, size_bytes: int) -> None:
        """Counts bytes, and says so when it is time."""
        self.done_bytes += size_bytes
        now = self._clock()
        if now < self._next_at:
            return
        self._next_at = now + (_TERMINAL_SECONDS if self._is_terminal else _LOG_SECONDS)
        line = self._line(now)
        self._output.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
        self._output.flush()
        self._has_line = self._is_terminal

    def clear(self) -> None:
        """Takes the line away."""
        if self._has_line:
            self._output.write("\r\x1b[K")
            self._output.flush()
            self._has_line = False

    def _line(self, now: float) -> str:
        rate = self.done_bytes / (now - self._started_at)
        done = f"modelyard: {size(self.done_bytes)}"
        if self.total_bytes is None or rate <= 0:
            return f"{done} read, {size(rate)}/s"
        left_seconds = max(self.total_bytes - self.done_bytes, 0) / rate
        return f"{done} of {size(self.total_bytes)}, {size(rate)}/s, {left_seconds:.0f} s left"


def size(count: float) -> str:
    """Gives a number of bytes for people: 1.5 GiB."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"
