"""The fence in front of every write: open while this process holds the Lease, closed by the clock alone.

`leadership` moves it, `cluster` asks it. It closes by itself, with no code having to run: a process that was stopped
for a minute and goes on finds it closed, whatever it was in the middle of. So it is asked twice for each write: before
the call is prepared, and once more when the bytes of its body are about to go to the kernel, because connecting and
waiting for a free connection lie between the two. Without leader election it is open for ever. It decides nothing and
calls no API.
"""

import math
import time
from collections.abc import Callable

from aiohttp import abc, payload

from modelyard_operator import errors

# Goes on while the process is stopped and, where the system has it, while the machine sleeps. Never set back.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Fence:
    """Until when this process may write."""

    def __init__(self, until: float = -math.inf, clock: Callable[[], float] | None = None) -> None:
        self._until = until
        self._clock = clock or _boot_time

    def now(self) -> float:
        """Give the seconds of the fence's clock: one that only this machine knows, and that stops for nothing."""
        return self._clock()

    def open(self, until: float) -> None:
        """Let writes pass until that time of the fence's clock."""
        self._until = until

    def close(self) -> None:
        """Let no more write pass."""
        self._until = -math.inf

    def seconds_left(self) -> float:
        """Give how long writes may pass from now on; 0 when none may."""
        return max(0.0, self._until - self.now())

    def check(self, what: str) -> float:
        """Give the seconds that a write may take.

        Raises:
            errors.NotLeading: when no write may pass.
        """
        seconds = self.seconds_left()
        if not seconds:
            raise errors.NotLeading(what)
        return seconds

    def guard(self, what: str, data: bytes) -> payload.Payload:
        """Give a body that is only sent if the fence is still open when its turn comes."""
        return _Guarded(self, what, data)


class _Guarded(payload.BytesPayload):
    """Bytes that ask the fence right before they are written to the socket.

    A request whose body never comes is thrown away by the API server.
    """

    def __init__(self, fence: Fence, what: str, data: bytes) -> None:
        super().__init__(data)
        self._fence = fence
        self._what = what

    async def write(self, writer: abc.AbstractStreamWriter) -> None:
        """Send everything, or nothing."""
        self._fence.check(self._what)
        await super().write(writer)

    async def write_with_length(self, writer: abc.AbstractStreamWriter, content_length: int | None) -> None:
        """Send everything, or nothing; the form that aiohttp calls."""
        self._fence.check(self._what)
        await super().write_with_length(writer, content_length)


def unfenced() -> Fence:
    """Give a fence that is always open: for an operator without a rival."""
    return Fence(until=math.inf)


def _boot_time() -> float:
    return time.clock_gettime(_CLOCK)
