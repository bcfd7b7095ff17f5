"""The node cache shared by pods that are processes of their own, and die at the worst moment."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard_runtime.artifact import cache_entries
from tests.unit.runtime.cache_use import file, put, take


@pytest.fixture(autouse=True)
def _any_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full this machine's disk is does not matter here."""
    monkeypatch.setattr(cache_entries, "_FREE_SHARE", 10**9)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


# What another pod does, as a process of its own: says when it has come so far, and waits to be killed.
_OTHER_POD = """
import sys, time
from pathlib import Path
from modelyard_runtime import fetchsettings
from modelyard_runtime.artifact import cache, cache_copying, cache_entries
what, root, source, digest = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
cache_entries._FREE_SHARE = 10**9
def stop(*arguments, **named):
    print("here", flush=True)
    time.sleep(120)
def half(source, target, is_durable=False):
    target.write_bytes(source.read_bytes()[:100])
    stop()
if what == "written":
    cache_copying.copy = half
elif what == "committed":
    cache_copying.sync_folder = stop
elif what == "started":
    cache_entries._try_lock = stop
elif what == "read":
    cache_copying.copy = stop
settings = fetchsettings.CacheSettings(root, 10_000, "team-a")
if what == "read":
    cache.Cache(settings, "s3").take(digest, root / "target")
else:
    cache.Cache(settings, "s3").put(digest, source, source.stat().st_size)
print("done", flush=True)
"""


@contextlib.contextmanager
def _other_pod(what: str, root: Path, source: Path, its_digest: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _OTHER_POD, what, str(root), str(source), its_digest]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == ("done\n" if what == "whole" else "here\n")
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("what", ["started", "written", "committed"])
def test_a_pod_that_is_killed_while_it_writes_leaves_nothing_that_counts(
    what: str, root: Path, tmp_path: Path
) -> None:
    cache_entries.Entries(root, 10_000)
    path, its_digest = file(tmp_path, b"model" * 100)
    with _other_pod(what, root, path, its_digest) as child:
        if what == "written":
            # While it lives, its place is kept and nobody takes half of it.
            assert take(root, tmp_path, its_digest) is None
            other = put(root, tmp_path, b"x" * 9_600)
            assert take(root, tmp_path, other) is None
            assert len(list((root / "writing").iterdir())) == 1
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert take(root, tmp_path, its_digest) is None
    assert put(root, tmp_path, b"model" * 100) == its_digest
    assert take(root, tmp_path, its_digest) == b"model" * 100
    assert list((root / "writing").iterdir()) == []


def test_two_pods_that_write_the_same_leave_it_once(root: Path, tmp_path: Path) -> None:
    cache_entries.Entries(root, 10_000)
    path, its_digest = file(tmp_path, b"model" * 100)
    with _other_pod("written", root, path, its_digest):
        assert put(root, tmp_path, b"model" * 100) == its_digest
        assert take(root, tmp_path, its_digest) == b"model" * 100
    with _other_pod("whole", root, path, its_digest):
        assert take(root, tmp_path, its_digest) == b"model" * 100
    assert len(list((root / "entries").iterdir())) == 1


def test_what_another_pod_reads_is_not_removed_until_it_is_gone(root: Path, tmp_path: Path) -> None:
    used = put(root, tmp_path, b"a" * 6_000)
    path, _ = file(tmp_path, b"a" * 6_000)
    with _other_pod("read", root, path, used) as child:
        assert take(root, tmp_path, put(root, tmp_path, b"b" * 6_000)) is None
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert take(root, tmp_path, put(root, tmp_path, b"b" * 6_000)) == b"b" * 6_000
    assert take(root, tmp_path, used) is None
