"""What predictions cost, and what follows: where one runs, how many share a call, and when no more may wait.

Called by `dispatching`. A thread costs a third of a millisecond per call, and a slow prediction on the event loop costs
every other request its whole duration, health answers first: so the cheap run on the loop and the slow in the thread,
decided for each call from what calls have cost so far. Pure.
"""

import dataclasses
import math

import msgspec

from modelyard_runtime import errors

INLINE_SECONDS = 0.001  # estimated cost up to which a prediction runs on the event loop
LEAVE_INLINE_SECONDS = 0.002  # a prediction on the event loop that took longer is one too many
STRIKES = 2  # that many of them in a row are the model's doing; one may be the machine's
MAX_WAIT_SECONDS = 5.0  # a caller who would wait longer is sent away: by then many have given up
ALWAYS_WAITING = 8  # requests that may wait however slow the model is
MAX_WAITING = 4096  # requests, however fast it is
MAX_WAITING_BYTES = 256 * 1024**2  # of inputs, whatever they are
_WEIGHT = 0.2  # of the newest measurement in the running estimate
_MAX_STRETCH = 1000.0


class Cost(msgspec.Struct, frozen=True):
    """What a prediction costs: `fixed_seconds` per call and `row_seconds` per row.

    `strikes` counts the last predictions on the event loop that held it up. `stretch` is how many seconds pass for each
    that the calling thread computes: about 1, more for a model that waits for others.
    """

    fixed_seconds: float
    row_seconds: float
    strikes: int = 0
    stretch: float = 1.0

    def estimate(self, rows: int) -> float:
        """Gives the seconds a prediction of `rows` rows will probably take."""
        return self.fixed_seconds + self.row_seconds * rows

    def is_inline(self, rows: int) -> bool:
        """Says whether a prediction of `rows` rows may run on the event loop."""
        return self.estimate(rows) <= INLINE_SECONDS

    def rows_to_share(self, rows: int, max_rows: int) -> int:
        """Gives how many rows a call may get that begins with a request of `rows`.

        A call that would run on the event loop is not made so large that it may not.
        """
        if not self.is_inline(rows) or self.row_seconds <= 0:
            return max_rows
        return min(max_rows, int((INLINE_SECONDS - self.fixed_seconds) / self.row_seconds))


class Took(msgspec.Struct, frozen=True):
    """What a call took: seconds on the clock, seconds its thread computed, and whether it was made to stop meanwhile.

    A thread is stopped for other processes, or because the container has used up its share: not the model's doing.
    """

    seconds: float
    cpu_seconds: float
    was_stopped: bool


# Nothing measured yet: slow until shown otherwise.
UNKNOWN = Cost(fixed_seconds=0.005, row_seconds=0.0)


def measured(rows_few: int, seconds_few: float, rows_many: int, seconds_many: float) -> Cost:
    """Gives the cost from two warm-up measurements of different size."""
    row_seconds = max(seconds_many - seconds_few, 0.0) / (rows_many - rows_few)
    return Cost(max(seconds_few - row_seconds * rows_few, 0.0), row_seconds)


def learned(cost: Cost, rows: int, took: Took, is_inline: bool) -> Cost:
    """Gives the cost after one more call.

    The clock tells the truth on the event loop only, and only when the machine let the thread run: beside the loop a
    call also waits for the interpreter, which it would not on it. Otherwise it is worked out from the time computed.
    """
    if not is_inline or took.was_stopped:
        return updated(cost, rows, took.cpu_seconds * cost.stretch)
    stretch = took.seconds / max(took.cpu_seconds, 1e-6)
    stretch = cost.stretch + _WEIGHT * (min(stretch, _MAX_STRETCH) - cost.stretch)
    return updated(Cost(cost.fixed_seconds, cost.row_seconds, cost.strikes, stretch), rows, took.seconds)


def updated(cost: Cost, rows: int, seconds: float) -> Cost:
    """Gives the cost after one more measurement.

    Measurements count slowly, since the machine has moods; but a model that repeatedly held up the event loop is
    believed at once.
    """
    expected = max(cost.estimate(rows), 1e-9)
    ratio = seconds / expected
    held_up_the_loop = seconds > LEAVE_INLINE_SECONDS and cost.is_inline(rows)
    strikes = cost.strikes + 1 if held_up_the_loop else 0
    if held_up_the_loop and strikes < STRIKES:
        return Cost(cost.fixed_seconds, cost.row_seconds, strikes, cost.stretch)
    factor = ratio if held_up_the_loop else 1.0 + _WEIGHT * (min(ratio, 2.0) - 1.0)
    return Cost(cost.fixed_seconds * factor, cost.row_seconds * factor, stretch=cost.stretch)


@dataclasses.dataclass(slots=True)
class Waiting:
    """What waits to be predicted: requests, their rows and bytes, and how many rows may share a call (1: none)."""

    max_rows: int
    requests: int = 0
    rows: int = 0
    bytes: int = 0

    def seconds(self, cost: Cost) -> float:
        """Gives how long all of it will take."""
        calls = (
            self.requests if self.max_rows == 1 else min(self.requests, math.ceil(self.rows / self.max_rows))
        )
        return calls * cost.fixed_seconds + self.rows * cost.row_seconds

    def refusal(self, cost: Cost, running_seconds: float) -> errors.Overloaded | None:
        """Gives the refusal of one more request, or None when it may wait; `running_seconds` are left of a call."""
        if self.requests < ALWAYS_WAITING and self.bytes < MAX_WAITING_BYTES:
            return None
        seconds = running_seconds + self.seconds(cost)
        if seconds <= MAX_WAIT_SECONDS and self.requests < MAX_WAITING and self.bytes < MAX_WAITING_BYTES:
            return None
        return errors.Overloaded(
            f"{self.requests} requests are waiting for this model, {seconds:.1f} seconds of work; try again later",
            # Half of it: then there is room again, and not everybody comes back to an idle server.
            retry_after_seconds=max(1, math.ceil(seconds / 2)),
        )
