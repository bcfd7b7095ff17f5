"""Where a runtime process stands, and which steps may follow each other.

Called by `fetch`, `loading`, `service` and `server`; the words of `Stage` reach the termination message and `/readyz`.
Pure: it holds values and decides; it never reads a clock, a file or a socket.
"""

import dataclasses
import enum
from collections.abc import Mapping


class Stage(enum.Enum):
    """What the process is doing; the value is the word people and the operator see."""

    FETCHING = "Fetching"
    VERIFYING = "Verifying"
    LOADING = "Loading"
    WARMING = "Warming"
    READY = "Ready"
    FAILED = "Failed"
    DRAINING = "Draining"


_NEXT: Mapping[Stage, frozenset[Stage]] = {
    Stage.FETCHING: frozenset({Stage.VERIFYING, Stage.FAILED}),
    Stage.VERIFYING: frozenset({Stage.LOADING, Stage.FAILED}),
    Stage.LOADING: frozenset({Stage.WARMING, Stage.FAILED, Stage.DRAINING}),
    Stage.WARMING: frozenset({Stage.READY, Stage.FAILED, Stage.DRAINING}),
    Stage.READY: frozenset({Stage.DRAINING}),
    Stage.FAILED: frozenset(),
    Stage.DRAINING: frozenset(),
}


def is_allowed(current: Stage, following: Stage) -> bool:
    """Says whether `following` may come directly after `current`."""
    return following in _NEXT[current]


@dataclasses.dataclass(frozen=True, slots=True)
class Drain:
    """A shutdown in progress. Times are seconds of one monotonic clock.

    The listening socket stays open meanwhile: endpoints lag behind pod deletion, and a client that still finds this pod
    must get its answer. Quiet means that nobody has asked for `quiet_seconds`.
    """

    started_at: float
    quiet_seconds: float
    deadline_seconds: float

    def is_over(self, now: float, last_request_at: float, in_flight: int) -> bool:
        """Says whether the process may stop: all is answered and quiet, or the deadline has passed."""
        if now - self.started_at >= self.deadline_seconds:
            return True
        quiet_since = max(self.started_at, last_request_at)
        return in_flight == 0 and now - quiet_since >= self.quiet_seconds


def plan_drain(started_at: float, drain_seconds: float, quiet_seconds: float = 5.0) -> Drain:
    """Gives the drain for a budget of `drain_seconds`: the quiet period never exceeds the whole."""
    return Drain(
        started_at=started_at,
        quiet_seconds=min(quiet_seconds, drain_seconds),
        deadline_seconds=drain_seconds,
    )
