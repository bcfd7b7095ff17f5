"""skops files load what is on the list of trusted types, and name what is not."""

import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
import skops
import skops.io
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import skops as skops_format
from tests.unit.runtime import builders

X = np.abs(np.random.default_rng(5).normal(size=(40, 3)))
Y = np.arange(40) % 2


def _written(estimator: Any, folder: Path) -> Path:
    skops.io.dump(estimator, folder / "model.skops")
    return folder


ESTIMATORS: dict[str, Any] = {
    "a pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "a forest": RandomForestClassifier(3),
    "boosting": GradientBoostingClassifier(n_estimators=2),
    "boosting by histograms": HistGradientBoostingClassifier(max_iter=2),
    "neighbours": KNeighborsClassifier(algorithm="kd_tree"),
    "a process": GaussianProcessClassifier(),
    "a network": MLPClassifier(max_iter=2),
    "votes": VotingClassifier([("a", LogisticRegression())]),
    "a search": GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2),
    "calibrated": CalibratedClassifierCV(LogisticRegression(), cv=2),
    "a loss of its own": TweedieRegressor(),
    "XGBoost": xgboost.XGBClassifier(n_estimators=2),
    "LightGBM": lightgbm.LGBMClassifier(n_estimators=2, verbose=-1),
}


@pytest.mark.parametrize("case", ESTIMATORS)
@pytest.mark.filterwarnings("ignore")
def test_what_scikit_learn_and_boosting_make_of_their_own_is_trusted(case: str, tmp_path: Path) -> None:
    estimator = ESTIMATORS[case].fit(X, Y)
    model = skops_format.load(_written(estimator, tmp_path))
    assert (model.format, model.engine) == ("skops", "scikit-learn")
    assert model.versions["skops"] == skops.__version__
    answer = builders.predict(model, X)
    assert answer.dtype == estimator.predict(X).dtype
    assert np.array_equal(answer, estimator.predict(X))


def test_columns_and_text_are_read_as_from_a_pickle(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": X[:, 0], "city": np.array(["Oslo", "Rome"])[Y]})
    columns = ColumnTransformer([("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["city"])])
    estimator = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    model = skops_format.load(_written(estimator, tmp_path))
    assert model.signature.features == (
        models.Feature("age", models.Kind.NUMBER),
        models.Feature("city", models.Kind.TEXT),
    )
    assert builders.predict(model, frame.to_numpy(dtype=object)).tolist() == estimator.predict(frame).tolist()


UNTRUSTED = {"a program": (os.system, "posix.system"), "a reader of files": (np.load, "numpy.load")}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_what_is_not_trusted_is_named_and_never_made(case: str, tmp_path: Path) -> None:
    function, name = UNTRUSTED[case]
    _written(FunctionTransformer(function).fit(X), tmp_path)
    with pytest.raises(errors.StartFailure, match=f"not trusted: {name};") as caught:
        skops_format.load(tmp_path)
    assert caught.value.reason is errors.Reason.LOAD_FAILED
    model = skops_format.load(tmp_path, models.LoadOptions(allows_code=True))
    assert model.signature.outputs[0].name == "transform"


@pytest.mark.parametrize(
    "name",
    ["os.system", "sklearn.datasets.fetch_openml", "sklearn.utils._testing.TempMemmap", "xgboost.core.DMatrix",
     "sklearn.metrics._scorer.get_scorer", "sklearn.tree._export.export_graphviz", "xsklearn.tree._tree.Tree",
     "sklearn.tree._tree.Tree.x", "numpy.load", "builtins.eval"],
)  # fmt: skip
def test_the_list_is_short(name: str) -> None:
    assert not skops_format.is_trusted(name)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    whole = _written(LogisticRegression().fit(X, Y), tmp_path).joinpath("model.skops").read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "x")
    cases = {
        b"<html>": "is an HTML page",
        whole[:200]: "is an archive of NumPy arrays",
        whole.replace(b'"__class__"', b'"__klass__"'): "can't be read to its end",
        (tmp_path / "other.zip").read_bytes(): "is a ZIP archive, not a skops model",
    }
    for content, words in cases.items():
        (tmp_path / "model.skops").write_bytes(content)
        with pytest.raises(errors.StartFailure, match=words):
            skops_format.load(tmp_path)


def test_another_version_is_a_note_or_a_refusal(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        estimator = LogisticRegression().fit(X, Y)
        state: Any = type(estimator).__getstate__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                LogisticRegression, "__getstate__", lambda self: {**state(self), "_sklearn_version": "1.0"}
            )
            _written(estimator, tmp_path)
    (note,) = skops_format.load(tmp_path).warnings
    assert "1.0" in note
    assert sklearn.__version__ in note
    with pytest.raises(errors.StartFailure) as caught:
        skops_format.load(tmp_path, models.LoadOptions(refuses_other_versions=True))
    assert caught.value.reason is errors.Reason.VERSION_MISMATCH
