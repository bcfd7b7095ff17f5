"""Lets SIGTERM end a measurement as Ctrl-C does: through every clean-up.

Used by the commands that measure.
"""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def run(measurement: Coroutine[Any, Any, _Value]) -> _Value:
    """Run a coroutine to its end and give what it gives.

    Raises:
        KeyboardInterrupt, asyncio.CancelledError: it was stopped by a signal.
    """
    return asyncio.run(_interruptible(measurement))


async def _interruptible(measurement: Coroutine[Any, Any, _Value]) -> _Value:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - we are in one
    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await measurement
