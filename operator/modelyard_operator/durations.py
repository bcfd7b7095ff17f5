"""Says for how long something has been going on, in words that stay true until they are said anew.

A status that counted seconds would be written every second. Called by `failures`. Pure.
"""

import datetime
from collections.abc import Mapping
from typing import Any

# What is said is the last of these that has passed. Each is one write of the status.
_STEPS: tuple[tuple[int, str], ...] = (
    (10, "10 seconds"),
    (30, "30 seconds"),
    (60, "1 minute"),
    (120, "2 minutes"),
    (300, "5 minutes"),
    (600, "10 minutes"),
    (1800, "30 minutes"),
    (3600, "1 hour"),
    (14400, "4 hours"),
    (43200, "12 hours"),
    (86400, "1 day"),
)


def doing(what: str, running: Mapping[str, Any], now: str) -> str:
    """Give "has been WHAT for more than 2 minutes (since 14:03:22 UTC)"; `running` is a container's state.

    Without a time it only says "is WHAT". A node's clock may be ahead of ours: then it is not said for how long.
    """
    started = _time(running.get("startedAt") or "")
    if started is None:
        return f"is {what}"
    since = f"since {started:%H:%M:%S} UTC"
    seen = _time(now)
    seconds = (seen - started).total_seconds() if seen else 0
    passed = [words for limit, words in _STEPS if seconds > limit]
    return f"has been {what} for more than {passed[-1]} ({since})" if passed else f"has been {what} {since}"


def _time(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(datetime.UTC) if found.tzinfo else None
