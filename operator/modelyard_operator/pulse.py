"""Signs of life of the parts of the process that run for ever: watch streams, guards, the election.

Each part beats when it has come round once more, whether what it tried has worked or not: a part that waits for an API
server that is down still comes round, one that hangs does not. `health` fails liveness on a part that has missed its
time, and shows the ages. It never ends anything itself.
"""

import asyncio
from collections.abc import Mapping

WITHIN_SECONDS = 300.0  # every API call and every watch ends by itself long before


class Pulse:
    """When each part last beat."""

    def __init__(self) -> None:
        self._beats: dict[str, tuple[float, float]] = {}

    def beat(self, part: str, within_seconds: float = WITHIN_SECONDS) -> None:
        """Say that a part works, and within how many seconds it will say so again."""
        self._beats[part] = (_now(), within_seconds)

    def ages(self) -> Mapping[str, float]:
        """Give the seconds since each part's last beat."""
        now = _now()
        return {part: now - when for part, (when, _within) in self._beats.items()}

    def stopped(self) -> Mapping[str, float]:
        """Give the ages of the parts that have missed their time."""
        return {part: age for part, age in self.ages().items() if age > self._beats[part][1]}


def _now() -> float:
    return asyncio.get_running_loop().time()
