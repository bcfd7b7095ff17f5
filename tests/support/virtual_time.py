"""An event loop whose clock jumps to the next timer: minutes of waiting take milliseconds, and always the same ones."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Loop(asyncio.SelectorEventLoop):
    """Runs what is ready; when nothing is, it is later at once. Only for code that waits for nothing but timers."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        pending = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if not self._ready and pending:  # type: ignore[attr-defined]
            self._now = max(self._now, min(pending))
        super()._run_once()  # type: ignore[misc]


def run(story: Coroutine[Any, Any, Any]) -> None:
    """Run a story in virtual time."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(story)
