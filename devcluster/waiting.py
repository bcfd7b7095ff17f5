"""Waits until something is true, and tells at once when the cluster has died meanwhile.

Called by the start of an instance.
"""

import time
from collections.abc import Callable

from devcluster import config, errors, processes

_INTERVAL_SECONDS = 0.05


def until(
    condition: Callable[[], bool],
    layout: config.Layout,
    *,
    what: str,
    component: str,
    timeout_seconds: float = 60,
) -> None:
    """Return as soon as `condition` holds.

    Args:
        condition: asked 20 times a second.
        layout: of the instance, whose processes must stay alive.
        what: what is waited for, as in "the API server is ready".
        component: whose log explains it when it takes too long.
        timeout_seconds: how long at most.

    Raises:
        DevclusterError: a process ended, or the time is over; with the end of the log.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        processes.require_alive(layout)
        if time.monotonic() > deadline:
            raise errors.with_log_tail(
                f"waited {timeout_seconds:.0f} s in vain until {what}.", layout.logs / f"{component}.log"
            )
        time.sleep(_INTERVAL_SECONDS)
