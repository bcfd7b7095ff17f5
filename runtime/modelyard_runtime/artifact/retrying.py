"""What may pass by itself is tried again, and the log says why.

Used by every step of a fetch that talks to a source. Only a failure whose reason says so is tried again.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from modelyard_runtime import errors

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
Sleep = Callable[[float], None]
# Between attempts. The kubelet starts the container again after that: minutes would only hide the reason.
DELAYS_SECONDS = (0.25, 0.5, 1.0, 2.0, 2.0)


class Patience:
    """How often one step may still fail: used up by failures, renewed by progress."""

    def __init__(self, sleep: Sleep = time.sleep) -> None:
        self._sleep = sleep
        self._failures = 0

    def renew(self) -> None:
        """Forgets the failures until now: there was progress since."""
        self._failures = 0

    def wait_after(self, failure: errors.StartFailure) -> None:
        """Waits before the next attempt; raises the failure when it can't pass, or did not pass often enough."""
        if not failure.reason.is_retryable or self._failures == len(DELAYS_SECONDS):
            raise failure
        delay_seconds = DELAYS_SECONDS[self._failures]
        self._failures += 1
        _log.warning(
            "fetch attempt failed",
            extra={
                "fields": {
                    "attempt": self._failures,
                    "retry_in_seconds": delay_seconds,
                    "problem": failure.message,
                }
            },
        )
        self._sleep(delay_seconds)


def run(step: Callable[[], _T], sleep: Sleep = time.sleep) -> _T:
    """Gives what a step gives, in the end; raises its last `StartFailure`."""
    patience = Patience(sleep)
    while True:
        try:
            return step()
        except errors.StartFailure as failure:
            patience.wait_after(failure)
