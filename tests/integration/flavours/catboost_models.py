"""CatBoost: trained here, saved as .cbm, loaded by our adapter. Run by `test_flavours`."""

from typing import Any

import catboost
import numpy as np
import pandas as pd

from modelyard_runtime.formats import model as models
from tests.integration.flavours import claims
from tests.integration.flavours.claims import FOLDER, claim, same

GENERATOR = np.random.default_rng(0)
QUIET = {"verbose": 0, "allow_writing_files": False, "iterations": 20}
PEOPLE = pd.DataFrame(
    {
        "age": GENERATOR.uniform(20, 70, 200),
        "city": GENERATOR.choice(["Oslo", "Rome", "Paris"], 200),
        "zone": GENERATOR.integers(1, 4, 200),
    }
)


def table(frame: pd.DataFrame) -> Any:
    """A table as protocols give it: text and floats."""
    return frame.astype({"age": float, "zone": float}).to_numpy(dtype=object)


def answer(model: models.Model, rows: Any, output: str = models.PREDICTION) -> Any:
    """One output."""
    return np.asarray(model.predict({models.TABLE: rows}, frozenset({output}), {})[output])


def regressor() -> None:
    """Numbers without names, one of them missing."""
    numbers = GENERATOR.standard_normal((200, 3))
    model = catboost.CatBoostRegressor(**QUIET).fit(numbers, numbers[:, 0] * 2)
    model.save_model(str(FOLDER / "numbers.cbm"))
    served = claims.load("catboost", "numbers.cbm")
    rows = numbers[:5].copy()
    rows[0, 1] = np.nan
    claim("a regressor predicts what CatBoost predicts", same(answer(served, rows), model.predict(rows)))
    claim("columns of an array have no names", not served.signature.is_named)


def classifier() -> None:
    """Categories as text and as whole numbers, labels as text."""
    labels = np.where(PEOPLE.age > 45, "old", "young")
    model = catboost.CatBoostClassifier(**QUIET, cat_features=["city", "zone"]).fit(PEOPLE, labels)
    model.save_model(str(FOLDER / "people.cbm"))
    served = claims.load("catboost", "people.cbm")
    frame = PEOPLE.iloc[:9]
    claim("labels are CatBoost's", answer(served, table(frame)).tolist() == model.predict(frame).tolist())
    probabilities = answer(served, table(frame), models.PROBABILITY)
    claim("probabilities are CatBoost's", same(probabilities, model.predict_proba(frame)))
    claim("classes are the labels", served.signature.classes == ("old", "young"))
    kinds = {feature.name: feature.kind.value for feature in served.signature.features or ()}
    claim("features have names and kinds", kinds == {"age": "number", "city": "text", "zone": "text"})
    wrong = np.array([["x", "Oslo", 1.0]], dtype=object)
    claim("text for a number is refused", claims.invalid(served, {models.TABLE: wrong}) != "")


def multiclass() -> None:
    """Three classes that are numbers."""
    numbers = GENERATOR.standard_normal((200, 2))
    model = catboost.CatBoostClassifier(**QUIET).fit(numbers, np.digitize(numbers[:, 0], [-0.5, 0.5]))
    model.save_model(str(FOLDER / "three.cbm"))
    served = claims.load("catboost", "three.cbm")
    claim(
        "three classes are CatBoost's",
        answer(served, numbers[:9]).tolist() == model.predict(numbers[:9]).ravel().tolist(),
    )
    claim("classes that are numbers stay numbers", served.signature.classes == (0, 1, 2))


def mlflow_folder() -> None:
    """What MLflow saves of a CatBoost model, served without MLflow."""
    labels = np.where(PEOPLE.age > 45, "old", "young")
    model = catboost.CatBoostClassifier(**QUIET, cat_features=["city", "zone"]).fit(PEOPLE, labels)
    claims.mlflow_flavour("catboost").save_model(model, str(FOLDER / "mlflow"), pip_requirements=["numpy"])
    served = claims.load("mlflow", "mlflow")
    claim(
        "MLflow's folder is served by CatBoost's adapter",
        (served.format, served.engine) == ("catboost", "CatBoost"),
    )
    frame = PEOPLE.iloc[:9]
    claim("its labels are CatBoost's", answer(served, table(frame)).tolist() == model.predict(frame).tolist())
    claim(
        "its probabilities are CatBoost's",
        same(answer(served, table(frame), models.PROBABILITY), model.predict_proba(frame)),
    )
    claim("the version that wrote it is the one here", served.warnings == () or str(served.warnings))


regressor()
classifier()
multiclass()
mlflow_folder()
(FOLDER / "cut.cbm").write_bytes((FOLDER / "three.cbm").read_bytes()[:200])
claim("a file that was cut off is refused", "damaged" in claims.refusal("catboost", "cut.cbm"))
claims.tell()
