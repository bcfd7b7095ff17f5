"""Waits for a condition instead of sleeping: the only place of the tests that lets time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(
    look: Callable[[], Value | None], what: str, timeout_seconds: float = 60, every_seconds: float = 0.25
) -> Value:
    """Call `look` until it gives something true and give that.

    Raises:
        AssertionError: when `timeout_seconds` have passed; it tells `what` was awaited and what was last seen.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what}: not within {timeout_seconds:.0f} s; last seen: {value!r}")
        time.sleep(every_seconds)
