"""Tells a person what is being done: one line per step with its time, and a sign of life while a long one runs.

Called by everything in devcluster that takes longer than a second or two. It writes to standard output, or to the
stream set by `write_to` (the commands that print a path keep standard output for it). It must never fail because a
terminal cannot show a character.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

HEARTBEAT_SECONDS = 30.0
_UNICODE = {"done": "✓", "failed": "✗", "doing": "…"}
_ASCII = {"done": "ok", "failed": "FAILED", "doing": ".."}

_streams: list[TextIO] = []


def write_to(stream: TextIO) -> None:
    """Send all further progress lines to `stream`."""
    _streams[:] = [stream]


def marks(encoding: str | None, is_terminal: bool) -> dict[str, str]:
    """Give the marks for a stream: plain ASCII unless it is a terminal that shows UTF-8."""
    shows_unicode = is_terminal and (encoding or "").lower().replace("-", "") == "utf8"
    return _UNICODE if shows_unicode else _ASCII


def line(mark: str, text: str) -> None:
    """Write one progress line; `mark` is done, failed or doing."""
    stream = _streams[0] if _streams else sys.stdout
    print(f"  {marks(stream.encoding, stream.isatty())[mark]} {text}", file=stream, flush=True)


@contextlib.contextmanager
def step(doing: str, done: str, announce: str | None = None) -> Iterator[None]:
    """Tell `done` with the time when the block ends, and that it goes on every 30 s until then.

    Args:
        doing: what happens, as in "building helm"; used for signs of life and failures.
        done: what has happened, as in "helm 4.3.1 built".
        announce: when given, a line with this estimate is written at the start, as in "about 8 min".
    """
    start = time.monotonic()
    if announce is not None:
        line("doing", f"{doing} ({announce})")
    stop = threading.Event()
    heart = threading.Thread(target=_beat, args=(doing, start, stop), daemon=True)
    heart.start()
    try:
        yield
    except BaseException:
        line("failed", f"{doing} ({_seconds(start)})")
        raise
    finally:
        stop.set()
        heart.join()
    line("done", f"{done} ({_seconds(start)})")


def _beat(doing: str, start: float, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        line("doing", f"still {doing} ({_seconds(start)})")


def _seconds(start: float) -> str:
    elapsed = time.monotonic() - start
    return f"{elapsed:.1f} s" if elapsed < 10 else f"{elapsed:.0f} s"
