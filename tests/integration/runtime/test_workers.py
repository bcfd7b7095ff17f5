"""Several workers in one pod: one load, one truth about all of them, and no half-dead pod."""

import _thread
import concurrent.futures
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from tests.integration.runtime import processes
from tests.support import waiting

LINE = LinearRegression().fit(np.arange(10.0).reshape(-1, 1), 2 * np.arange(10.0) + 1)


def _workers(server: processes.Serving) -> list[int]:
    process = server.process.pid
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _ask(server: processes.Serving, times: int) -> None:
    """Asks over as many connections: each goes to the worker that the kernel chooses."""
    for _ in range(times):
        assert httpx.post(f"{server.url}/predict", json={"X": [1]}).json() == {"y_pred": [pytest.approx(3)]}


def _metrics(server: processes.Serving) -> set[str]:
    with httpx.Client() as client:
        return set(client.get(f"{server.url}/metrics").text.splitlines())


def test_all_workers_answer_count_together_and_drain_together(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE, WORKERS="3", DRAIN_SECONDS="30") as server:
        _ask(server, 30)
        for _ in range(5):  # whichever worker is asked
            lines = _metrics(server)
            assert 'modelyard_requests_total{code="200",protocol="predict"} 30.0' in lines
            assert {
                "modelyard_rows_total 30.0",
                "modelyard_workers 3.0",
                "modelyard_model_ready 1.0",
            } <= lines
        assert len(server.log.split('"message": "ready"')) == 4
        server.process.send_signal(signal.SIGTERM)
        waiting.eventually(lambda: "modelyard_model_ready 0.0" in _metrics(server), "all know", 10, 0.05)
        _ask(server, 10)
        ended = server.wait(60)
    assert (ended.exit_code, ended.termination) == (0, None)


KILLED: dict[str, tuple[int, str]] = {
    "a crash in native code": (signal.SIGSEGV, "killed by SIGSEGV: the model, or the library"),
    "memory that ran out": (signal.SIGKILL, "raise its memory limit"),
}


@pytest.mark.parametrize("case", KILLED)
def test_a_worker_that_is_killed_takes_the_pod_with_it_and_says_why(tmp_path: Path, case: str) -> None:
    number, words = KILLED[case]
    with processes.serving(tmp_path, LINE, WORKERS="2") as server:
        others = _workers(server)
        os.kill(others[1], number)
        ended = server.wait()
        assert ended.exit_code == 128 + number
        assert ended.termination is not None
        assert "worker 1 of 2 was killed" in ended.termination["message"]
        assert words in ended.termination["message"]
        assert not any(Path(f"/proc/{process}").exists() for process in others)


def test_a_parent_that_is_killed_leaves_nobody_behind(tmp_path: Path) -> None:
    with processes.serving(tmp_path, LINE, WORKERS="2") as server:
        workers = _workers(server)
        server.process.kill()
        waiting.eventually(
            lambda: not any(_runs(process) for process in workers), "the workers have gone", 10, 0.05
        )


def _runs(process: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_model_that_does_not_load_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "artifact/content").mkdir(parents=True)
    (tmp_path / "artifact/content/model.pkl").write_bytes(b"cno_such_module\nM\n.")
    manifest = {"uri": "s3://m/m", "digest": "sha256:" + "0" * 64, "path": "content/model.pkl", "bytes": 19}
    (tmp_path / "artifact/manifest.json").write_text(json.dumps(manifest))
    port = str(processes.free_port())
    environment = processes.environment(tmp_path, MODEL_NAME="m", PORT=port, WORKERS="2", PICKLE_RULE="Any")
    ended = processes.run("serve", environment, tmp_path)
    assert ended.exit_code == 70
    assert ended.termination is not None
    assert "no_such_module" in ended.termination["message"]


class _StartsAThread:
    """Something in an artifact that starts a thread when it is loaded."""

    def __reduce__(self) -> Any:
        return _thread.start_new_thread, (time.sleep, (600,))


def test_a_library_that_keeps_threads_is_loaded_by_every_worker_itself(tmp_path: Path) -> None:
    estimator = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    estimator.side_effect = _StartsAThread()
    with processes.serving(tmp_path, estimator, WORKERS="2", DRAIN_SECONDS="0", PICKLE_RULE="Any") as server:
        assert "loads the model for itself" in server.log
        _ask(server, 10)
        assert "modelyard_workers 2.0" in _metrics(server)
        assert server.stop().exit_code == 0


def test_health_answers_while_the_model_loads(tmp_path: Path) -> None:
    joblib_file = tmp_path / "model.joblib"
    slow = LinearRegression().fit([[0.0], [1.0]], [1.0, 3.0])
    slow.side_effect = _Sleeps()
    joblib.dump(slow, joblib_file)
    assert processes.fetch(tmp_path, f"file://{joblib_file}").exit_code == 0
    server = processes.Serving(tmp_path, "m", PICKLE_RULE="Any", WORKERS="2", DRAIN_SECONDS="0")
    try:
        server.wait_until("/livez")
        assert server.client.get("/readyz").json() == {"ready": False, "stage": "Loading"}
        server.client.close()
        server.client = httpx.Client(base_url=server.url, timeout=60)
        server.wait_until("/readyz")
        assert server.stop().exit_code == 0
    finally:
        server.close()


class _Sleeps:
    def __reduce__(self) -> Any:
        return time.sleep, (3,)


def _pss_mebibytes(processes_: list[int]) -> float:
    """What processes take, each shared page counted once."""
    total = 0
    for process in processes_:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def test_workers_share_the_models_memory(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(20_000, 5))
    forest = RandomForestRegressor(8, n_jobs=1, random_state=0).fit(x, random.normal(size=20_000))
    rows = x[:200].tolist()
    used = []
    for count in (1, 4):
        folder = tmp_path / str(count)
        folder.mkdir()
        with processes.serving(folder, forest, WORKERS=str(count), DRAIN_SECONDS="0") as server:
            # Every worker has predicted: what it writes into shared pages is its own from then on.
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                codes = set(pool.map(lambda _, url=server.url: _code(url, rows), range(40)))
            assert codes == {200}
            used.append(_pss_mebibytes([server.process.pid, *_workers(server)]))
    assert used[1] < 0.5 * 4 * used[0]


def _code(url: str, rows: list[list[float]]) -> int:
    return httpx.post(f"{url}/predict", json={"X": rows}, timeout=60).status_code
