"""`prepare` on a full disk, and killed while it writes: nothing half-written is used, and the next start works."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest

from tests.integration.runtime import processes
from tests.support import estimators as kinds
from tests.support import waiting


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a forest that went through `fetch`."""
    folder = tmp_path_factory.mktemp("fetched")
    joblib.dump(kinds.CLASSIFIERS["random forest"]().fit(kinds.X, kinds.CLASSES), folder / "model.joblib")
    assert processes.fetch(folder, f"file://{folder}/model.joblib").exit_code == 0
    return folder


@pytest.fixture
def folder(fetched: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    shutil.copytree(fetched / "artifact", tmp_path / "artifact")
    return tmp_path


def _is_served(folder: Path, engine: str) -> None:
    """Starts `serve` on what is there, and asks which engine answers."""
    server = processes.Serving(folder, "m")
    try:
        server.wait_until("/readyz")
        assert len(server.predict(kinds.X[:3].tolist())) == 3
        described = server.client.get("/v2/models/m").json()["parameters"]["acceleration"]
        assert described["engine"] == engine, described
    finally:
        server.close()


def _is_prepared_anew(folder: Path) -> None:
    """Runs `prepare` where there is room and nobody kills it, and looks for leftovers."""
    ended = processes.run("prepare", processes.environment(folder), folder)
    assert ended.exit_code == 0, ended.log
    assert ended.lines("prepared")[0]["engine"] == "treelite"
    found = {path.name for path in (folder / "artifact").iterdir()}
    assert found == {"manifest.json", "content", "tried.json", "prepared"}


# The longest file that can be written, in bytes: (is the trial recorded, is a folder prepared).
ROOM: dict[int, tuple[bool, bool]] = {0: (False, False), 150: (True, False), 4000: (True, True)}


@pytest.mark.parametrize("room", ROOM)
def test_a_full_disk_costs_speed_and_nothing_else(room: int, folder: Path) -> None:
    is_recorded, is_described = ROOM[room]
    ended = subprocess.run(
        [*processes.INSTALLED.command, "prepare"],
        env=processes.environment(folder),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert (folder / "artifact/tried.json").exists() == is_recorded
    assert (folder / "artifact/prepared").exists() == is_described
    assert not (folder / "artifact/.preparing").exists()
    _is_served(folder, "scikit-learn")
    _is_prepared_anew(folder)


# What has just appeared when the kernel ends `prepare`.
MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the trial has begun": lambda _artifact: True,
    "the trial is recorded": lambda artifact: (artifact / "tried.json").exists(),
    "the conversion has begun": lambda artifact: (artifact / ".preparing").exists(),
    "a file of the engine is begun": lambda artifact: _has_files(artifact / ".preparing"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_in_the_middle_is_made_good_by_the_next_start(
    moment: str, fetched: Path, tmp_path: Path
) -> None:
    folders = (tmp_path / str(number) for number in range(10))
    folder = next(each for each in folders if _is_killed_when(MOMENTS[moment], fetched, each))
    # The container starts again from the beginning; were it not to, `serve` holds a trial and uses the original.
    if not (folder / "artifact/prepared").exists():
        _is_served(folder, "scikit-learn")
    _is_prepared_anew(folder)
    _is_served(folder, "treelite")


def _is_killed_when(has_come: Callable[[Path], bool], fetched: Path, folder: Path) -> bool:
    """Runs `prepare` on a copy and kills it at a moment; says no when that has passed between two looks."""
    shutil.copytree(fetched / "artifact", folder / "artifact")
    process = subprocess.Popen(
        [*processes.INSTALLED.command, "prepare"],
        env=processes.environment(folder),
        stderr=subprocess.DEVNULL,
    )
    try:
        child = waiting.eventually(lambda: _child_of(process.pid), "the child has begun", 60, 0.001)
        while not has_come(folder / "artifact"):
            if process.poll() is not None:
                return False
            time.sleep(0)
    finally:
        process.kill()
        process.wait()
    waiting.eventually(lambda: not _is_alive(child), "the child has ended, too", 30)
    return True


def _has_files(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except (
        FileNotFoundError
    ):  # not there yet, or taken away while we looked: another try at an engine follows
        return False


def _child_of(process: int) -> int | None:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(children[0]) if children else None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
