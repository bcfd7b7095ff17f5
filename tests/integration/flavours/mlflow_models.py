"""MLflow: folders that MLflow itself writes, served without it, and its python_function. Run by `test_flavours`."""

import logging
import os
import warnings
from typing import Any

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import lightgbm
import mlflow
import mlflow.lightgbm
import mlflow.onnx
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import onnxruntime
import pandas as pd
import skl2onnx
import xgboost
from sklearn.linear_model import LogisticRegression

from modelyard_runtime.formats import model as models
from tests.integration.flavours import claims
from tests.integration.flavours.claims import FOLDER, claim, same

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
mlflow.set_tracking_uri(f"sqlite:///{FOLDER}/tracking.db")
GENERATOR = np.random.default_rng(0)
FRAME = pd.DataFrame({"age": GENERATOR.uniform(20, 70, 50), "income": GENERATOR.uniform(1, 9, 50)})
LABELS = (FRAME.age > 45).astype(int)
SIGNATURE = mlflow.models.infer_signature(FRAME, LABELS)
# Names its environment instead of having MLflow look for it, which takes half a minute each.
HERE = {"pip_requirements": ["numpy"], "signature": SIGNATURE}


class Sum(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """A function of the author's own, with a parameter."""

    def predict(
        self, context: object, model_input: pd.DataFrame, params: dict[str, float] | None = None
    ) -> Any:
        return model_input.sum(axis=1).to_numpy() * (params or {}).get("factor", 1.0)


def answer(model: models.Model, **parameters: models.Scalar) -> Any:
    """The predictions for the frame."""
    inputs = {models.TABLE: FRAME.to_numpy()}
    return np.asarray(model.predict(inputs, frozenset({models.PREDICTION}), parameters)[models.PREDICTION])


def natively() -> None:
    """Flavours that Modelyard's own adapters serve."""
    estimator = LogisticRegression().fit(FRAME, LABELS)
    mlflow.sklearn.save_model(estimator, str(FOLDER / "sklearn"), serialization_format="cloudpickle", **HERE)
    served = claims.load("mlflow", "sklearn")
    claim(
        "scikit-learn's flavour predicts what scikit-learn predicts",
        answer(served).tolist() == estimator.predict(FRAME).tolist(),
    )
    claim("it is served by scikit-learn's adapter", served.format == "sklearn")
    claim("the version that wrote it is the one here", served.warnings == ())
    text = (FOLDER / "sklearn" / "MLmodel").read_text()
    (FOLDER / "sklearn" / "MLmodel").write_text(text.replace("sklearn_version: 1", "sklearn_version: 0"))
    claim(
        "another version is told",
        "was saved with scikit-learn 0" in "".join(claims.load("mlflow", "sklearn").warnings),
    )
    booster = xgboost.XGBClassifier(n_estimators=5).fit(FRAME.to_numpy(), LABELS)
    mlflow.xgboost.save_model(booster, str(FOLDER / "xgboost"), **HERE)
    served = claims.load("mlflow", "xgboost")
    claim(
        "XGBoost's flavour predicts what XGBoost predicts",
        answer(served).tolist() == booster.predict(FRAME.to_numpy()).tolist(),
    )
    claim(
        "columns get the names that MLflow recorded",
        [one.name for one in served.signature.features or ()] == ["age", "income"],
    )
    trees = lightgbm.train({"verbose": -1, "objective": "binary"}, lightgbm.Dataset(FRAME, LABELS), 5)
    mlflow.lightgbm.save_model(trees, str(FOLDER / "lightgbm"), **HERE)
    probabilities = claims.load("mlflow", "lightgbm").predict(
        {models.TABLE: FRAME.to_numpy()}, frozenset({models.PROBABILITY}), {}
    )[models.PROBABILITY]
    claim(
        "LightGBM's flavour predicts what LightGBM predicts", same(probabilities[:, 1], trees.predict(FRAME))
    )


def onnx_folder() -> None:
    """A graph, and its weights beside it as MLflow saves them."""
    rows = FRAME.to_numpy(np.float32)
    graph = skl2onnx.to_onnx(
        LogisticRegression().fit(FRAME.to_numpy(), LABELS), rows[:1], options={"zipmap": False}
    )
    mlflow.onnx.save_model(graph, str(FOLDER / "onnx"), pip_requirements=["numpy"])
    served = claims.load("mlflow", "onnx")
    claim(
        "ONNX's folder is served by ONNX Runtime", (served.format, served.engine) == ("onnx", "ONNX Runtime")
    )
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    found = claims.predict(served, {"X": rows})
    for output, expected in zip(session.get_outputs(), session.run(None, {"X": rows}), strict=True):
        claim(f"its output {output.name!r} is ONNX Runtime's", np.array_equal(found[output.name], expected))
    claim("the version of ONNX that wrote it is the one here", served.warnings == () or str(served.warnings))


def python_function() -> None:
    """Code of the folder's own, where it is allowed."""
    with_factor = mlflow.models.infer_signature(FRAME, LABELS, params={"factor": 1.0})
    mlflow.pyfunc.save_model(
        str(FOLDER / "function"), python_model=Sum(), pip_requirements=["numpy"], signature=with_factor
    )
    claim(
        "code is refused by the rule's name", "MODELYARD_ALLOW_CODE" in claims.refusal("mlflow", "function")
    )
    served = claims.load("mlflow", "function", allows_code=True)
    claim("a python_function predicts what it computes", same(answer(served), FRAME.sum(axis=1)))
    claim(
        "its parameters are those of its signature", same(answer(served, factor=2.0), 2 * FRAME.sum(axis=1))
    )
    claim("it is MLflow that computes", served.engine == "MLflow")


natively()
onnx_folder()
python_function()
claims.tell()
