"""The real `prepare` and files that are made to do harm: each ends in a reason, in time, and harms no one.

Each costs a process that imports a library, so what is not said in a few bytes more is said by `tests.support.bombs`.
"""

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from modelyard_runtime.artifact import digest, store
from tests.integration.runtime import processes
from tests.support import bombs

MIB = 1024**2
MEMORY_BYTES = 256 * MIB  # libraries and good models of this size take half of it
# What only time can end.
ENDLESS = (
    "ONNX: a long loop",
    "ONNX: functions that each call the next twice",
    "LightGBM: a tree whose root is its own child",
    "scikit-learn: a tree whose root is its own child",
)
# What ends as soon as memory does; a kernel or a library may also refuse it at once, for the same reason.
GREEDY = (
    "ONNX: a constant of a huge shape",
    "ONNX: a constant of an impossible shape",
    "ONNX: an expansion",
    "ONNX: a tile",
    "ONNX: a pad",
    "ONNX: a range",
    "ONNX: random numbers",
    "ONNX: texts",
    "ONNX: a loop that doubles",
    "ONNX: a scan",
    "ONNX: a branch",
    "XGBoost: 10^9 classes",
    "XGBoost: 10^9 targets",
    "XGBoost: 10^9 features",
    "LightGBM: 10^9 classes",
    "scikit-learn: a transformer to 10^8 columns",
    "skops: half a gigabyte of zeros",
)
# Everything else crashes its library, or is found out by it, by our adapter or by the pickle rule.
REFUSED = {"LoadFailed", "PickleRefused"}


def _fetched(folder: Path, file: Path) -> None:
    """Puts a file where `fetch` would."""
    place = store.Store(folder / "artifact")
    staged = place.prepare(file.name)
    shutil.copy(file, staged)
    place.commit(staged, "file:///bomb", digest.of_path(staged), staged.stat().st_size)


@pytest.mark.parametrize("bomb", bombs.ALL)
def test_a_bomb_is_a_reason(bomb: str, tmp_path: Path) -> None:
    _fetched(tmp_path, bombs.ALL[bomb](tmp_path))
    variables = processes.environment(
        tmp_path, TRIAL_MEMORY_BYTES=str(MEMORY_BYTES), TRIAL_SECONDS="8" if bomb in ENDLESS else "90"
    )
    started = time.monotonic()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*processes.INSTALLED.command, "prepare"], env=variables, stderr=log)
        parent_bytes = 0
        while process.poll() is None:
            parent_bytes = max(parent_bytes, _most_bytes(process.pid))
            time.sleep(0.02)
    assert (tmp_path / "termination").exists(), (tmp_path / "log").read_text()
    termination = json.loads((tmp_path / "termination").read_bytes())
    expected = {"LimitExceeded"} if bomb in (*ENDLESS, *GREEDY) else REFUSED
    assert termination["reason"] in expected, termination
    assert time.monotonic() - started < 100
    assert "Traceback" not in termination["message"]
    # An interpreter with our own modules, and not with NumPy or a model's library.
    assert parent_bytes < 50 * MIB
    assert not (tmp_path / "artifact/tried.json").exists()


def _most_bytes(process: int) -> int:
    """The most memory that a process has had so far; 0 when it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def test_serve_tries_what_no_prepare_has_tried(tmp_path: Path) -> None:
    """Health answers meanwhile, and the process ends with the reason, not with the signal."""
    _fetched(tmp_path, bombs.ALL["LightGBM: a node that is far away"](tmp_path))
    server = processes.Serving(tmp_path, "m")
    try:
        server.wait_until("/livez")
        ended = server.wait(60)
        assert ended.exit_code == 70, ended.log
        assert ended.termination is not None
        assert "SIGSEGV" in ended.termination["message"]
        assert ended.termination["stage"] == "Warming"
        assert ended.lines("trying the model")
    finally:
        server.close()


def test_serve_loads_directly_what_prepare_has_tried(tmp_path: Path) -> None:
    file = bombs.GOOD["LightGBM"](tmp_path)
    _fetched(tmp_path, file)
    assert processes.run("prepare", processes.environment(tmp_path), tmp_path).exit_code == 0
    server = processes.Serving(tmp_path, "m")
    try:
        server.wait_until("/readyz")
        assert "trying the model" not in server.log
    finally:
        server.close()
