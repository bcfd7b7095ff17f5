"""A child that crashes, hangs, eats memory or leaves processes is told as such, and harms nobody."""

import contextlib
import ctypes
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard_runtime import child, memory
from tests.support import waiting

MIB = 1024**2
How = child.How


def _eat(tell: child.Tell) -> None:
    """Takes twice what it may, far below what it may reserve, and waits for somebody to notice."""
    held = [b"x" * MIB for _ in range(512)]
    time.sleep(20)
    tell(b"%d MiB" % len(held))


def _crash(tell: child.Tell) -> None:
    faulthandler.disable()  # pytest's would print a page
    ctypes.string_at(0)


def _raise(tell: child.Tell) -> None:
    raise RuntimeError("no")


def _ask_for_the_impossible(tell: child.Tell) -> None:
    bytearray(1 << 50)


def _say_one_endless_word(tell: child.Tell) -> None:
    tell(b"x" * (child.LONGEST_MESSAGE * 2))


ENDINGS: dict[str, tuple[Callable[[child.Tell], object], child.Ended]] = {
    "a crash in native code": (_crash, child.Ended(How.CRASHED, signal.SIGSEGV)),
    "a call of abort": (lambda _tell: os.abort(), child.Ended(How.CRASHED, signal.SIGABRT)),
    "an exception": (_raise, child.Ended(How.FAILED, 1)),
    "an exit": (lambda _tell: os._exit(7), child.Ended(How.FAILED, 7)),
    "memory that is used": (_eat, child.Ended(How.TOO_MUCH)),
    "memory that is refused": (_ask_for_the_impossible, child.Ended(How.TOO_MUCH)),
    "the kernel's own end of it": (
        lambda _tell: os.kill(os.getpid(), signal.SIGKILL),
        child.Ended(How.TOO_MUCH),
    ),
    "a message beyond measure": (_say_one_endless_word, child.Ended(How.FAILED)),
    "nothing to say": (lambda _tell: None, child.Ended(How.DONE)),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_an_end_is_told(case: str) -> None:
    work, expected = ENDINGS[case]
    with child.Child(work, 256 * MIB) as tried:
        assert tried.hear(60.0) == expected
        # It stays so.
        assert tried.hear(0.0) == expected


def test_a_child_that_takes_too_long_is_ended() -> None:
    with child.Child(lambda _tell: time.sleep(600), 64 * MIB) as tried:
        assert tried.hear(0.3) == child.Ended(How.TOO_LONG)
    assert not Path(f"/proc/{tried.process}").exists()


def test_messages_come_one_by_one_and_whole() -> None:
    large = b"y" * (3 * MIB)

    def work(tell: child.Tell) -> None:
        tell(b"one")
        tell(large)
        tell(b"two\nlines")

    with child.Child(work, 256 * MIB) as tried:
        assert tried.hear(60.0) == b"one"
        assert tried.hear(60.0) == large
        assert tried.hear(60.0) == b"two lines"
        assert tried.hear(60.0) == child.Ended(How.DONE)


def test_what_is_said_before_the_end_is_heard() -> None:
    def work(tell: child.Tell) -> None:
        tell(b"last words")
        os.kill(os.getpid(), signal.SIGSEGV)

    with child.Child(work, 64 * MIB) as tried:
        waiting.eventually(lambda: _is_zombie(tried.process), "the child has ended", 30)
        assert tried.hear(60.0) == b"last words"
        assert tried.hear(60.0) == child.Ended(How.CRASHED, signal.SIGSEGV)


def test_the_parent_stays_small_and_keeps_no_descriptor() -> None:
    descriptors = _descriptors()
    before = memory.used_bytes(Path("/proc/self/status").read_bytes())
    for _ in range(3):
        with child.Child(_eat, 200 * MIB) as tried:
            assert tried.hear(60.0) == child.Ended(How.TOO_MUCH)
    assert _descriptors() == descriptors
    assert memory.used_bytes(Path("/proc/self/status").read_bytes()) - before < 50 * MIB


def test_processes_that_a_child_leaves_end_with_it() -> None:
    def work(tell: child.Tell) -> None:
        grandchild = os.fork()
        if grandchild == 0:
            time.sleep(600)
            os._exit(0)
        tell(str(grandchild).encode())

    with child.Child(work, 64 * MIB) as tried:
        heard = tried.hear(60.0)
        assert isinstance(heard, bytes)
        assert tried.hear(60.0) == child.Ended(How.DONE)
    try:
        waiting.eventually(lambda: _is_zombie(int(heard)), "the grandchild has ended", 30)
    finally:
        _end_group(tried.process)


def test_a_child_ends_with_its_parent() -> None:
    """Whoever kills `prepare` leaves no process behind."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        tried = child.Child(lambda _tell: time.sleep(600), 64 * MIB)
        os.write(writing, str(tried.process).encode())
        time.sleep(600)
        os._exit(0)
    process = int(os.read(reading, 16))
    try:
        # The child is past its first lines when it can be seen in a group of its own.
        waiting.eventually(lambda: os.getpgid(process) == process, "the child has begun", 30)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        waiting.eventually(lambda: _is_zombie(process), "the child has ended", 30)
    finally:
        for descriptor in (reading, writing):
            os.close(descriptor)
        _end_group(process)


def _end_group(process: int) -> None:
    """Ends what should have ended: it would hold what this process prints to, and keep whoever reads that waiting."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _is_zombie(process: int) -> bool:
    """Whether a process is over, reaped or not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
