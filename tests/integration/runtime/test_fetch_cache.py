"""The node cache under real `fetch` processes: a second pod needs no server, and no damage or death spoils a fetch."""

import concurrent.futures
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.runtime import fileserver, processes

MODEL = b"\x80\x04" + os.urandom(4 * 1024**2)
DIGEST = "sha256:" + hashlib.sha256(MODEL).hexdigest()
# How full the disk of the machine that runs this is does not matter: as `modelyard-runtime`, but for that.
_RUNTIME = """
import sys
from modelyard_runtime import __main__ as runtime
from modelyard_runtime.artifact import cache_copying, cache_entries
cache_entries._FREE_SHARE = 10**9
"""


@pytest.fixture
def web() -> Iterator[fileserver.FileServer]:
    with fileserver.FileServer().running() as server:
        server.routes["/m.pkl"] = fileserver.answer_bytes(MODEL)
        yield server


class Pod:
    """A pod of its own that shares the node's cache."""

    def __init__(self, root: Path, name: str, url: str, **variables: str) -> None:
        self.folder = root / name
        self.folder.mkdir()
        given = {
            "MODEL_URI": f"{url}/m.pkl",
            "CACHE_DIR": str(root / "cache"),
            "CACHE_SCOPE": "team-a",
            **variables,
        }
        self._variables = processes.environment(self.folder, **given)

    def start(self, code: str = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", f"{_RUNTIME}{code}\nruntime.main(['fetch'])"]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=self._variables, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )

    def fetch(self) -> str:
        """Fetches, and gives the log."""
        with self.start() as started:
            log = started.communicate(timeout=60)[0]
        assert started.returncode == 0, log
        assert (self.folder / "artifact/content/m.pkl").read_bytes() == MODEL
        return log


@pytest.mark.parametrize("known_by", ["MODEL_DIGEST", "LOCKED_DIGEST"])
def test_a_second_pod_takes_it_from_the_node(
    known_by: str, web: fileserver.FileServer, tmp_path: Path
) -> None:
    assert "kept in the node cache" in Pod(tmp_path, "first", web.url).fetch()
    asked = len(web.requests)
    assert "taken from the node cache" in Pod(tmp_path, "second", web.url, **{known_by: DIGEST}).fetch()
    assert len(web.requests) == asked


def test_an_unknown_digest_and_another_namespace_ask_the_server(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    Pod(tmp_path, "first", web.url).fetch()
    for name, variables in {
        "unknown": {},
        "other": {"MODEL_DIGEST": DIGEST, "CACHE_SCOPE": "team-b"},
    }.items():
        asked = len(web.requests)
        Pod(tmp_path, name, web.url, **variables).fetch()
        assert len(web.requests) > asked


def test_a_damaged_entry_is_fetched_anew(web: fileserver.FileServer, tmp_path: Path) -> None:
    Pod(tmp_path, "first", web.url).fetch()
    (content,) = (tmp_path / "cache" / "entries").glob("*/content")
    content.write_bytes(MODEL[::-1])
    log = Pod(tmp_path, "second", web.url, MODEL_DIGEST=DIGEST).fetch()
    assert "node cache held other bytes: dropped" in log
    assert "kept in the node cache" in log
    assert "taken from the node cache" in Pod(tmp_path, "third", web.url, MODEL_DIGEST=DIGEST).fetch()


def test_many_pods_at_once(web: fileserver.FileServer, tmp_path: Path) -> None:
    pods = [Pod(tmp_path, f"pod-{number}", web.url, MODEL_DIGEST=DIGEST) for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor(len(pods)) as pool:
        list(pool.map(Pod.fetch, pods))
    assert len(list((tmp_path / "cache" / "entries").iterdir())) == 1
    assert list((tmp_path / "cache" / "writing").iterdir()) == []


def test_a_pod_that_is_killed_while_it_keeps_something_harms_no_other(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    stop = "def stop(*a, **n):\n    print('here', flush=True)\n    import time; time.sleep(120)\n"
    stop += "cache_copying._make_durable = cache_copying.sync_folder = stop\n"
    with Pod(tmp_path, "killed", web.url).start(stop) as killed:
        assert killed.stdout is not None
        while killed.stdout.readline() != "here\n":
            pass
        killed.send_signal(signal.SIGKILL)
    assert len(list((tmp_path / "cache" / "writing").iterdir())) == 1
    assert "kept in the node cache" in Pod(tmp_path, "second", web.url, MODEL_DIGEST=DIGEST).fetch()
    assert list((tmp_path / "cache" / "writing").iterdir()) == []


def test_a_cache_that_can_not_be_written_is_a_warning(web: fileserver.FileServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    assert "node cache can't be written" in Pod(tmp_path, "first", web.url).fetch()
