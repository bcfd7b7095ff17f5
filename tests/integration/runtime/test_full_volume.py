"""On a volume without room nothing half-written is left, the reason is told, and the next start with room works."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest

from tests.integration.runtime import fileserver, processes, small_volume
from tests.integration.runtime.small_volume import MIB
from tests.support import archive_making
from tests.support import estimators as kinds

MODEL = b"\x80\x04" + os.urandom(6 * MIB)
DIGEST = "sha256:" + hashlib.sha256(MODEL).hexdigest()
ARCHIVE = archive_making.zipped(("m.pkl", b"\x80\x04" + bytes(6 * MIB)), ("notes.txt", b"hello"))
NO_SPACE = "the artifact does not fit: no space left on the artifact volume"
# What is fetched, how it is sent, and what is said where 4 MiB are left.
CASES: dict[str, tuple[str, Callable[[bytes], Callable[[Any], None]], bytes, str]] = {
    "a download whose size is known": (
        "m.pkl",
        fileserver.answer_bytes,
        MODEL,
        f"the artifact does not fit: it has {len(MODEL)} bytes, and the artifact volume has 4194304 left",
    ),
    "a download whose size is not": ("m.pkl", fileserver.answer_chunked, MODEL, NO_SPACE),
    "an archive that fits, and its content doesn't": ("m.zip", fileserver.answer_bytes, ARCHIVE, NO_SPACE),
}


@pytest.fixture
def web() -> Iterator[fileserver.FileServer]:
    with fileserver.FileServer().running() as server:
        yield server


@pytest.mark.parametrize("case", CASES)
def test_a_fetch_that_does_not_fit_says_so_and_comes_again(
    case: str, web: fileserver.FileServer, tmp_path: Path
) -> None:
    name, answer, content, words = CASES[case]
    web.routes[f"/{name}"] = answer(content)
    with small_volume.mounted(tmp_path / "artifact", "size=4m") as volume:
        for _start in range(2):  # what the first has left must not be what the second stumbles over
            ended = processes.fetch(tmp_path, f"{web.url}/{name}", volume.program)
            processes.assert_failed(ended, 73, "ArtifactTooLarge", words)
            assert volume.names() <= {".staging"}
        volume.resize("size=64m")
        ended = processes.fetch(tmp_path, f"{web.url}/{name}", volume.program)
        assert ended.exit_code == 0, ended.log
        assert volume.names() == {"content", "manifest.json"}


# How a cache's volume is full, so that a copy is not begun or breaks off.
FULL_CACHES = {"no bytes are left": "size=4m", "no files are left": "size=64m,nr_inodes=5"}


@pytest.mark.parametrize("case", FULL_CACHES)
def test_a_full_node_cache_costs_the_next_fetch_and_no_start(
    case: str, web: fileserver.FileServer, tmp_path: Path
) -> None:
    web.routes["/m.pkl"] = fileserver.answer_bytes(MODEL)
    cache = {"CACHE_DIR": str(tmp_path / "cache"), "CACHE_SCOPE": "team-a", "MODEL_DIGEST": DIGEST}
    with small_volume.mounted(tmp_path / "cache", FULL_CACHES[case]) as volume:

        def fetched() -> processes.Ended:
            pod = tmp_path / f"pod-{len(list(tmp_path.glob('pod-*')))}"
            pod.mkdir()
            ended = processes.fetch(pod, f"{web.url}/m.pkl", volume.program, **cache)
            assert ended.exit_code == 0, ended.log
            assert "Traceback" not in ended.log
            assert (pod / "artifact/content/m.pkl").read_bytes() == MODEL
            return ended

        for _pod in range(2):
            assert not fetched().lines("kept in the node cache")
            for folder in volume.names() & {"entries", "writing"}:
                assert list((volume.inside / folder).iterdir()) == []
        volume.resize("size=256m,nr_inodes=1000")
        assert fetched().lines("kept in the node cache")
        asked = len(web.requests)
        assert fetched().lines("taken from the node cache")
        assert len(web.requests) == asked


def test_what_the_node_has_does_not_fit_either_and_stays_there(
    web: fileserver.FileServer, tmp_path: Path
) -> None:
    web.routes["/m.pkl"] = fileserver.answer_bytes(MODEL)
    cache = {"CACHE_DIR": str(tmp_path / "cache"), "CACHE_SCOPE": "team-a", "MODEL_DIGEST": DIGEST}
    with small_volume.mounted(tmp_path / "cache", "size=256m") as kept:
        (tmp_path / "first").mkdir()
        first = processes.fetch(tmp_path / "first", f"{web.url}/m.pkl", kept.program, **cache)
        assert first.lines("kept in the node cache"), first.log
        entries = sorted(path.name for path in (kept.inside / "entries").iterdir())
        cache["CACHE_DIR"] = str(kept.inside)  # as another pod sees the same folder of the node
        with small_volume.mounted(tmp_path / "artifact", "size=4m") as volume:
            ended = processes.fetch(tmp_path, f"{web.url}/m.pkl", volume.program, **cache)
            processes.assert_failed(ended, 73, "ArtifactTooLarge", "the artifact does not fit")
            assert volume.names() <= {".staging"}
            assert sorted(path.name for path in (kept.inside / "entries").iterdir()) == entries
            volume.resize("size=64m")
            again = processes.fetch(tmp_path, f"{web.url}/m.pkl", volume.program, **cache)
            assert again.lines("taken from the node cache"), again.log


def test_prepare_without_room_costs_speed_and_nothing_else(tmp_path: Path) -> None:
    joblib.dump(kinds.CLASSIFIERS["random forest"]().fit(kinds.X, kinds.CLASSES), tmp_path / "model.joblib")
    with small_volume.mounted(tmp_path / "artifact", "size=64m") as volume:
        fetched = processes.fetch(tmp_path, f"file://{tmp_path}/model.joblib", volume.program)
        assert fetched.exit_code == 0, fetched.log
        volume.fill()

        def prepared() -> processes.Ended:
            environment = processes.environment(tmp_path, volume.program)
            ended = processes.run("prepare", environment, tmp_path, volume.program)
            assert ended.exit_code == 0, ended.log
            assert "Traceback" not in ended.log
            return ended

        without_room = prepared()
        assert without_room.lines("the trial is not recorded")[0]["problem"] == "No space left on device"
        left = volume.names()
        assert not left & {".preparing", "prepared", "tried.json"}
        server = processes.Serving(tmp_path, "m", volume.program)
        try:
            server.wait_until("/readyz")
            assert len(server.predict(kinds.X[:3].tolist())) == 3
        finally:
            server.close()
        (volume.inside / "filler").unlink()
        prepared()
        assert volume.names() == {"manifest.json", "content", "tried.json", "prepared"}
