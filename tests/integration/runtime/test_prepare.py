"""The real `prepare` between the real `fetch` and `serve`: the same answers, without the model's own library."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest

from tests.integration.runtime import processes
from tests.support import estimators as kinds

# Modules that cost seconds at start-up, and what a serving process on an engine must do without.
HEAVY = ("sklearn", "scipy", "pandas", "joblib", "onnx", "skl2onnx", "treelite")
# What nobody needs who predicts, probes and scrapes.
FRAMEWORK = {"fastapi", "starlette", "pydantic"}
ASKED_BY_MACHINES = (
    "/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready", "/ping", "/health", "/v2/models/m",
    "/v2/models/m/ready",
)  # fmt: skip


def _prepared(folder: Path, estimator: Any) -> processes.Ended:
    joblib.dump(estimator, folder / "model.joblib")
    assert processes.fetch(folder, f"file://{folder}/model.joblib").exit_code == 0
    return processes.run("prepare", processes.environment(folder), folder)


def _conversation(server: processes.Serving, rows: list[Any], name: str) -> list[tuple[int, Any]]:
    """What a server says to good and to bad requests, and about itself."""
    bodies: list[tuple[str, Any]] = [
        ("/predict", {"X": rows}),
        ("/predict?proba=1", {"X": rows[:1]}),
        ("/predict", {"X": [rows[0][:-1]]}),
        ("/predict", {"X": [[None, *rows[0][1:]]]}),
        ("/predict", {"X": [[1e300, *rows[0][1:]]]}),
        ("/predict", {"X": "nonsense"}),
        (f"/v2/models/{name}/infer", {"inputs": [
            {"name": "X", "shape": [1, len(rows[0])], "datatype": "FP64", "data": [0.5] * len(rows[0])}
        ]}),
    ]  # fmt: skip
    said = [(answer.status_code, _rounded(answer.json())) for path, body in bodies
            if (answer := server.client.post(path, json=body))]  # fmt: skip
    metadata = server.client.get(f"/v2/models/{name}").json()
    del metadata["parameters"]["acceleration"]
    return [*said, (200, metadata), (200, server.client.get("/openapi.json").json())]


def _rounded(value: Any) -> Any:
    """The same JSON value without the last digits of its numbers, which depend on the order of additions."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


def _imported(log: str) -> set[str]:
    """The top-level modules that a process started with PYTHONPROFILEIMPORTTIME has imported."""
    return {name.partition(".")[0] for name in re.findall(r"^import time:.*\|\s+(\S+)$", log, re.MULTILINE)}


def _profile_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets processes that start from now on tell in their log what they import."""
    usual = processes.environment

    def profiled(*given: Any, **variables: str) -> dict[str, str]:
        return {**usual(*given, **variables), "PYTHONPROFILEIMPORTTIME": "1"}

    monkeypatch.setattr(processes, "environment", profiled)


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "pipeline": (
        lambda: kinds.CLASSIFIERS["imputer, scaler, regression"]().fit(kinds.X, kinds.LABELS),
        "onnxruntime",
    ),
    "forest": (lambda: kinds.CLASSIFIERS["random forest"]().fit(kinds.X, kinds.CLASSES), "treelite"),
    "text": (
        lambda: kinds.MIXED["one hot and forest"]().fit(kinds.PEOPLE, kinds.LABELS),
        "onnxruntime+treelite",
    ),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_prepared_model_is_served_alike_without_its_library(case: str, tmp_path: Path) -> None:
    make, engine = MODELS[case]
    ended = _prepared(tmp_path, make())
    assert ended.exit_code == 0, ended.log
    assert ended.lines("prepared")[0]["engine"] == engine
    rows = json.loads(kinds.PEOPLE[:5].to_json(orient="values")) if case == "text" else kinds.X[:5].tolist()
    said = []
    for choice in ("Auto", "Off"):
        server = processes.Serving(tmp_path, "m", ACCELERATE=choice)
        try:
            server.wait_until("/readyz")
            serves = server.client.get("/v2/models/m").json()["parameters"]["acceleration"]["engine"]
            assert serves == (engine if choice == "Auto" else "scikit-learn")
            assert f'engine="{serves}"' in server.client.get("/metrics").text
            said.append(_conversation(server, rows, "m"))
        finally:
            server.close()
    assert said[0] == said[1]


def test_nothing_heavy_is_imported_to_serve_what_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kinds.CLASSIFIERS["gradient boosting"]().fit(kinds.X, kinds.CLASSES)
    assert _prepared(tmp_path, model).exit_code == 0
    _profile_imports(monkeypatch)
    expectations: dict[str, set[str]] = {"Auto": set(), "Off": {"sklearn", "scipy", "joblib"}}
    for choice, expected in expectations.items():
        server = processes.Serving(tmp_path, "m", ACCELERATE=choice)
        try:
            server.wait_until("/readyz")
            assert len(server.predict(kinds.X[:3].tolist())) == 3
            assert server.refused(b'{"X": [[null, 1, 2, 3, 4]]}')[0] == 400
            assert {server.client.get(path).status_code for path in ASKED_BY_MACHINES} == {200}
            assert _imported(server.log) & {*HEAVY, *FRAMEWORK} == expected
            # The rest comes when somebody asks for it.
            assert "/predict" in server.client.get("/openapi.json").json()["paths"]
            assert _imported(server.log) & {*HEAVY, *FRAMEWORK} == expected | FRAMEWORK
        finally:
            server.close()


def test_fetching_a_file_imports_neither_what_serves_nor_what_other_sources_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _profile_imports(monkeypatch)
    (tmp_path / "model.joblib").write_bytes(pickle.dumps({"no": "model"}))
    ended = processes.fetch(tmp_path, f"file://{tmp_path}/model.joblib")
    assert ended.exit_code == 0, ended.log
    assert "modelyard_runtime" in _imported(ended.log)
    assert not _imported(ended.log) & {*HEAVY, *FRAMEWORK, "numpy", "obstore", "uvicorn", "cryptography"}


def test_prepare_fails_as_serve_would(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(pickle.dumps({"no": "model"}))
    assert processes.fetch(tmp_path, f"file://{tmp_path}/model.joblib").exit_code == 0
    ended = processes.run("prepare", processes.environment(tmp_path), tmp_path)
    assert ended.exit_code == 70
    assert ended.termination is not None
    assert ended.termination["reason"] == "LoadFailed"


def test_a_model_without_an_engine_is_served_as_it_is_and_says_why(tmp_path: Path) -> None:
    ended = _prepared(tmp_path, kinds.CLASSIFIERS["scaler and regression"]().set_params(
        standardscaler=kinds.prep.PowerTransformer()
    ).fit(kinds.X, kinds.CLASSES))  # fmt: skip
    assert ended.exit_code == 0, ended.log
    server = processes.Serving(tmp_path, "m")
    try:
        server.wait_until("/readyz")
        told = server.client.get("/v2/models/m").json()["parameters"]["acceleration"]
        assert told["engine"] == "scikit-learn"
        assert "ONNX Runtime" in told["reason"]
        assert len(server.predict(kinds.X[:3].tolist())) == 3
    finally:
        server.close()
