"""A process that holds credentials leaves no image of its memory behind, and lets nobody of its user look inside.

Called by `__main__` before `fetch` reads a credential. It must never fail a fetch: where the kernel has no such call,
nothing is lost that was there.
"""

import ctypes
import logging
import resource

_log = logging.getLogger(__name__)
_PR_SET_DUMPABLE = 4  # linux/prctl.h


def protect_memory() -> None:
    """Forbids core dumps of this process, and that other processes of its user trace it or read its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
            return
    except (OSError, AttributeError):
        pass  # not Linux
    _log.debug("memory can be read by other processes of this user")
