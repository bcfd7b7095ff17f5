"""The faults that the fault proxy can play, as values; `Random` draws them from a seed.

A request gets at most one `Fault`. A watch also lives under a `Trouble` that lasts: while one is set for its kind,
every stream that runs or is opened suffers it. Nothing here does I/O.
"""

import enum
import random
from collections import Counter
from collections.abc import Mapping

import msgspec

from tests.support.faultproxy_records import Call


class Place(enum.Enum):
    """Where on the way of a request something happens."""

    BEFORE = "before"  # the API server never hears of it
    AFTER = "after"  # carried out, and the operator has the answer
    UNANSWERED = "unanswered"  # carried out, and the operator never learns


class Fault(msgspec.Struct, frozen=True):
    """What happens to one request.

    Attributes:
        name: for people and the log.
        place: BEFORE: it is not forwarded. UNANSWERED: it is, and its answer is lost. AFTER: it is only made worse.
        code: what the operator is told instead; 0: its connection is cut.
        retry_after: seconds of the header, 0 for none.
        delay_seconds: how long it is held before anything else.
        is_truncated: the answer is half a JSON document.
        is_stale: the answer is an older one to the same question, if there was any.
        kills: the operator is killed at this place.
    """

    name: str
    place: Place = Place.BEFORE
    code: int = 0
    retry_after: int = 0
    delay_seconds: float = 0
    is_truncated: bool = False
    is_stale: bool = False
    kills: bool = False


class Trouble(msgspec.Struct, frozen=True):
    """What happens to the watches of some kinds, and to their lists, while it lasts.

    Attributes:
        name: for people and the log.
        code: running streams are cut; new ones and lists are answered with this.
        error: a stream gets one ERROR event with this code and ends.
        text: a stream gets these bytes and ends; with `is_silent` unset and nothing else it is just cut.
        is_silent: no byte comes any more and the stream never ends, not even when the trouble is over.
    """

    name: str
    code: int = 0
    error: int = 0
    text: bytes = b""
    is_silent: bool = False


TROUBLES: dict[str, Trouble] = {
    each.name: each
    for each in (
        *(Trouble(f"HTTP {code}", code=code) for code in (403, 404, 410, 429, 500, 503)),
        *(Trouble(f"ERROR {code}", error=code) for code in (410, 500, 504)),
        Trouble("cut"),
        Trouble("half a line", text=b'{"type":"MODIFIED","object":{"apiVersion":"modelyard.dev/v1al'),
        Trouble("garbage", text=b"<html>502 Bad Gateway</html>\n"),
        Trouble("silence", is_silent=True),
    )
}

REQUEST_FAULTS: tuple[Fault, ...] = (
    Fault("409", code=409),
    Fault("410", code=410),
    Fault("422", code=422),
    Fault("429 with Retry-After", code=429, retry_after=1),
    Fault("500", code=500),
    Fault("503", code=503),
    Fault("504 unapplied", code=504),
    Fault("504 applied", Place.UNANSWERED, code=504),
    Fault("reset before", Place.BEFORE),
    Fault("reset after", Place.UNANSWERED),
    Fault("delay", Place.AFTER, delay_seconds=2.0),
    Fault("truncated", Place.AFTER, is_truncated=True),
    Fault("stale", Place.AFTER, is_stale=True),
)


class Random:
    """Draws a fault for some of the requests.

    Drawn for the n-th request of its kind, not for the n-th of all: concurrent requests may swap, and a seed means
    the same in each run.
    """

    def __init__(self, seed: int, rate: float, faults: tuple[Fault, ...] = REQUEST_FAULTS) -> None:
        self._seed = seed
        self._rate = rate
        self._faults = faults
        self._asked: Counter[str] = Counter()

    def __call__(self, call: Call) -> Fault | None:
        """Give the fault of a request, if it gets one."""
        if call.is_watch:
            return None
        self._asked[call.what] += 1
        draw = random.Random(f"{self._seed}/{call.what}/{self._asked[call.what]}")
        return draw.choice(self._faults) if draw.random() < self._rate else None


class KillAt:
    """Kills at one write: the n-th of what `occurrence` names, once."""

    def __init__(self, occurrence: str, place: Place) -> None:
        self._what, _separator, number = occurrence.rpartition(" #")
        self._left = int(number)
        self._place = place
        self.has_struck = False

    def __call__(self, call: Call) -> Fault | None:
        """Give the kill when this is the write."""
        if self.has_struck or not call.is_write or call.what != self._what:
            return None
        self._left -= 1
        if self._left:
            return None
        self.has_struck = True
        return Fault(f"killed {self._place.value}", self._place, kills=True)


def status_body(code: int) -> Mapping[str, object]:
    """Give the Status object that the API server would send with a code."""
    reasons = {
        403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid",
        429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
    }  # fmt: skip
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"planned fault {code}",
        "reason": reasons.get(code, "Unknown"),
        "code": code,
    }
