"""Each format of the default image goes from its library's own file through `fetch` and `serve` to the same numbers."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import skl2onnx
import sklearn
import skops.io
import xgboost
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.integration.runtime import processes

X, Y = load_iris(return_X_y=True)
ROWS = X[::10]


def _skops(file: Path) -> tuple[str, Any]:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    skops.io.dump(pipeline, file)
    return "predict", pipeline.predict(ROWS)


def _onnx(file: Path) -> tuple[str, Any]:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    file.write_bytes(skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32)).SerializeToString())
    return "output_label", pipeline.predict(ROWS)


def _xgboost(file: Path) -> tuple[str, Any]:
    classifier = xgboost.XGBClassifier(n_estimators=5).fit(X, Y)
    classifier.save_model(file)
    return "predict", classifier.predict(ROWS)


def _lightgbm(file: Path) -> tuple[str, Any]:
    regressor = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(X, Y)
    regressor.booster_.save_model(file)
    return "predict", regressor.predict(ROWS)


FORMATS: dict[str, tuple[str, str, Callable[[Path], tuple[str, Any]]]] = {
    "skops": ("model.skops", "FP64", _skops),
    "onnx": ("model.onnx", "FP32", _onnx),
    "xgboost": ("model.ubj", "FP64", _xgboost),
    "lightgbm": ("model.txt", "FP64", _lightgbm),
}


@contextlib.contextmanager
def _served(folder: Path, file: Path) -> Iterator[processes.Serving]:
    fetched = processes.fetch(folder, f"file://{file}")
    assert fetched.exit_code == 0, fetched.log
    server = processes.Serving(folder, "m")
    try:
        server.wait_until("/readyz")
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("model_format", FORMATS)
def test_a_file_is_served_with_its_librarys_own_predictions(model_format: str, tmp_path: Path) -> None:
    name, datatype, save = FORMATS[model_format]
    output, expected = save(tmp_path / name)
    tensor = {"name": "X", "shape": list(ROWS.shape), "datatype": datatype, "data": ROWS.ravel().tolist()}
    with _served(tmp_path, tmp_path / name) as server:
        answer = server.client.post("/v2/models/m/infer", json={"inputs": [tensor]})
        assert answer.status_code == 200, answer.text
        outputs = {one["name"]: one["data"] for one in answer.json()["outputs"]}
        assert outputs[output] == expected.tolist()
        assert "Traceback" not in server.log


def test_a_model_of_another_version_is_refused_where_the_policy_says_so(tmp_path: Path) -> None:
    joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), tmp_path / "model.joblib")
    written = (tmp_path / "model.joblib").read_bytes()
    (tmp_path / "model.joblib").write_bytes(
        written.replace(sklearn.__version__.encode(), b"1.0.2"[: len(sklearn.__version__)])
    )
    assert processes.fetch(tmp_path, f"file://{tmp_path}/model.joblib").exit_code == 0
    server = processes.Serving(tmp_path, "m", VERSION_POLICY="Refuse")
    try:
        ended = server.wait(60)
    finally:
        server.close()
    assert ended.termination is not None
    assert (ended.exit_code, ended.termination["reason"]) == (79, "VersionMismatch")
    assert "1.0.2" in ended.termination["message"]
