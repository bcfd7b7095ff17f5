"""A model that can't be served ends the process with a reason, a code and a message; loading never hides health."""

import json
import pickle
import signal
import socket
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LinearRegression

from tests.integration.runtime import processes


def _artifact(folder: Path, content: bytes, name: str = "model.pkl") -> None:
    """What fetch would have left, without its own check of the format."""
    (folder / "artifact/content").mkdir(parents=True)
    (folder / "artifact/content" / name).write_bytes(content)
    manifest = {
        "uri": "s3://m/model",
        "digest": "sha256:" + "0" * 64,
        "path": f"content/{name}",
        "bytes": len(content),
    }
    (folder / "artifact/manifest.json").write_text(json.dumps(manifest))


def _fitted() -> bytes:
    return pickle.dumps(LinearRegression().fit(np.arange(4.0).reshape(-1, 1), np.arange(4.0)))


_ANY = {"PICKLE_RULE": "Any"}
FAILURES: dict[str, tuple[bytes | None, dict[str, str], int, str, str]] = {
    "fetch has not run": (None, {}, 78, "SettingsInvalid", "fetch has not run"),
    "no name": (b"", {"MODEL_NAME": ""}, 78, "SettingsInvalid", "MODELYARD_MODEL_NAME"),
    "an empty file": (b"", {}, 70, "LoadFailed", "is empty"),
    "an HTML page": (b"<!doctype html><p>Sign in", {}, 70, "LoadFailed", "an HTML page"),
    "a ZIP archive": (b"PK\x03\x04" + b"\0" * 60, {}, 70, "LoadFailed", "a ZIP archive"),
    "a dictionary": (pickle.dumps({"a": 1}), {}, 70, "LoadFailed", "holds a dict, not an estimator"),
    "an estimator that was never fitted": (pickle.dumps(LinearRegression()), {}, 70, "LoadFailed", "not fitted"),
    "a missing module": (b"cxgboost_of_tomorrow\nM\n.", _ANY, 70, "LoadFailed", "'xgboost_of_tomorrow'"),
    "a program in a pickle": (b"cposix\nsystem\n(S'x'\ntR.", {}, 85, "PickleRefused", "posix.system is not allowed"),
    "a pickle where none may be": (_fitted(), {"PICKLE_RULE": "Never"}, 85, "PickleRefused", "the pickle rule Never"),
    "a file that was cut off": (_fitted()[:150], {}, 70, "LoadFailed", "can't be read to its end"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_has_its_reason_code_and_remedy(tmp_path: Path, case: str) -> None:
    content, variables, code, reason, words = FAILURES[case]
    if content is not None:
        _artifact(tmp_path, content)
    port = str(processes.free_port())
    environment = processes.environment(tmp_path, **{"MODEL_NAME": "m", "PORT": port} | variables)
    ended = processes.run("serve", environment, tmp_path)
    assert ended.termination is not None, ended.log
    assert (ended.exit_code, ended.termination["reason"], ended.termination["stage"]) == (
        code,
        reason,
        "Loading",
    )
    assert words in ended.termination["message"]
    assert "Traceback" not in ended.log
    assert str(tmp_path) not in ended.termination["message"] or reason == "SettingsInvalid"
    (failed,) = ended.lines("failed")
    assert (failed["reason"], failed["problem"]) == (reason, ended.termination["message"])


def test_a_file_of_no_known_format_or_name(tmp_path: Path) -> None:
    _artifact(tmp_path, b"<html>", "model.bin")
    ended = processes.run("serve", processes.environment(tmp_path, MODEL_NAME="m"), tmp_path)
    assert ended.termination is not None
    assert (ended.exit_code, ended.termination["reason"]) == (76, "FormatUnknown")


def test_a_port_that_is_taken_is_a_setting_to_correct(tmp_path: Path) -> None:
    _artifact(tmp_path, _fitted())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = processes.run("serve", processes.environment(tmp_path, MODEL_NAME="m", PORT=port), tmp_path)
    assert ended.termination is not None
    assert (ended.exit_code, ended.termination["reason"]) == (78, "SettingsInvalid")
    assert f"MODELYARD_PORT: can't listen on port {port}" in ended.termination["message"]


def test_a_traceback_is_there_for_those_who_ask(tmp_path: Path) -> None:
    _artifact(tmp_path, _fitted()[:150])
    environment = processes.environment(tmp_path, MODEL_NAME="m", LOG_LEVEL="debug")
    assert "Traceback" in processes.run("serve", environment, tmp_path).log


def test_another_version_is_a_warning_where_one_looks(tmp_path: Path) -> None:
    version = b"1.0.2"[: len(sklearn.__version__)]
    _artifact(tmp_path, _fitted().replace(sklearn.__version__.encode(), version))
    server = processes.Serving(tmp_path, "m")
    try:
        server.wait_until("/readyz")
        (warning,) = server.client.get("/v2/models/m").json()["parameters"]["warnings"]
        assert "1.0.2" in warning
        assert server.log.count("version mismatch") == 1
    finally:
        server.close()


class Slow:
    """Takes seconds to unpickle: the pickle calls time.sleep on its way."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __reduce__(self) -> Any:
        import time  # noqa: PLC0415

        return time.sleep, (self.seconds,)


def test_health_answers_while_the_model_loads(tmp_path: Path) -> None:
    joblib.dump(Slow(3.0), tmp_path / "slow.joblib")
    assert processes.fetch(tmp_path, f"file://{tmp_path}/slow.joblib").exit_code == 0
    server = processes.Serving(tmp_path, "m", PICKLE_RULE="Any")
    try:
        server.wait_until("/livez")
        answer = server.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False, "stage": "Loading"})
        assert server.client.post("/predict", json={"X": [[1]]}).status_code == 503
        ended = server.wait()
        assert ended.exit_code == 70  # what time.sleep gives is no estimator
    finally:
        server.close()


def test_sigterm_while_loading_ends_at_once(tmp_path: Path) -> None:
    joblib.dump(Slow(60.0), tmp_path / "slow.joblib")
    assert processes.fetch(tmp_path, f"file://{tmp_path}/slow.joblib").exit_code == 0
    server = processes.Serving(tmp_path, "m", PICKLE_RULE="Any")
    try:
        server.wait_until("/livez")
        server.process.send_signal(signal.SIGTERM)
        seconds = processes.seconds_of(lambda: server.wait(50))
        assert seconds < 20  # of the 60 that the model takes to load
        assert server.process.returncode == 0
    finally:
        server.close()
