"""Between which values a model's training data lay: what artifacts record, and nothing that they don't."""

from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, StandardScaler

from modelyard_runtime import drift, metrics
from modelyard_runtime.formats import lightgbm as lightgbm_format
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from tests.unit.runtime import builders

GENERATOR = np.random.default_rng(5)
X = GENERATOR.normal(size=(120, 3)) * [1.0, 100.0, 0.01] + [0.0, 50.0, -3.0]
Y = X[:, 0] + X[:, 1]
Ends = list[tuple[float | None, float | None]]
ENDS: Ends = list(zip(X.min(axis=0).tolist(), X.max(axis=0).tolist(), strict=True))
WIDEST: Ends = [(-one, one) for one in np.abs(X).max(axis=0).tolist()]
UNKNOWN: Ends = [(None, None)] * 3
QUIET: dict[str, Any] = {"verbose": -1, "n_estimators": 3, "num_threads": 1, "min_child_samples": 2}


def _ends(estimator: Any, folder: Path) -> Ends:
    joblib.dump(estimator, folder / "model.joblib")
    signature = sklearn_format.load(folder, models.LoadOptions(is_pinned=True)).signature
    return [(one.low, one.high) for one in signature.features or ()]


RECORDED: dict[str, tuple[Any, Ends]] = {
    "a scaler to a range": (make_pipeline(MinMaxScaler(), LinearRegression()), ENDS),
    "the same in a search": (
        GridSearchCV(make_pipeline(MinMaxScaler(), KNeighborsRegressor()), {}, cv=2), ENDS,
    ),
    "a scaler by the largest": (make_pipeline(MaxAbsScaler(), LinearRegression()), WIDEST),
    "neighbours": (KNeighborsRegressor(), ENDS),
    "a Gaussian process": (GaussianProcessRegressor(), ENDS),
    "LightGBM": (lightgbm.LGBMRegressor(**QUIET), ENDS),
    "LightGBM that draws rows by gradient": (
        lightgbm.LGBMRegressor(data_sample_strategy="goss", **QUIET), ENDS,
    ),
    "means and deviations": (make_pipeline(StandardScaler(), LinearRegression()), UNKNOWN),
    "a scaler behind an imputer": (
        make_pipeline(SimpleImputer(strategy="constant", fill_value=1e9), MinMaxScaler(), LinearRegression()), UNKNOWN,
    ),
    "a forest": (RandomForestRegressor(n_estimators=3), UNKNOWN),
    "boosting by histograms": (HistGradientBoostingRegressor(max_iter=3), UNKNOWN),
    "XGBoost": (xgboost.XGBRegressor(n_estimators=3), UNKNOWN),
    "LightGBM that draws rows": (
        lightgbm.LGBMRegressor(subsample=0.5, subsample_freq=1, **QUIET), UNKNOWN,
    ),
    "LightGBM that has looked at some rows": (
        lightgbm.LGBMRegressor(subsample_for_bin=60, **QUIET), UNKNOWN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RECORDED)
def test_ends_are_those_of_the_training_data(case: str, tmp_path: Path) -> None:
    estimator, expected = RECORDED[case]
    assert _ends(estimator.fit(X, Y), tmp_path) == expected


def test_each_column_has_the_ends_of_its_transformer(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"city": ["Oslo", "Rome"] * 60, "age": X[:, 0], "income": X[:, 1], "height": X[:, 2]}
    )
    encoder = make_column_transformer(
        (MinMaxScaler(), ["height", "age"]),
        (OneHotEncoder(), ["city"]),
        (make_pipeline(StandardScaler()), ["income"]),
    )
    model = make_pipeline(encoder, LogisticRegression()).fit(frame, np.arange(120) % 2)
    assert _ends(model, tmp_path) == [(None, None), ENDS[0], (None, None), ENDS[2]]


def test_text_has_no_ends(tmp_path: Path) -> None:
    documents = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["red", "blue"], [0, 1])
    assert _ends(documents, tmp_path) == [(None, None)]


def test_missing_values_are_no_ends(tmp_path: Path) -> None:
    with_gaps = np.where(GENERATOR.random(X.shape) < 0.2, np.nan, X)
    for estimator in (
        make_pipeline(MinMaxScaler(), HistGradientBoostingRegressor()),
        lightgbm.LGBMRegressor(**QUIET),
    ):
        low, high = np.nanmin(with_gaps, axis=0).tolist(), np.nanmax(with_gaps, axis=0).tolist()
        assert _ends(estimator.fit(with_gaps, Y), tmp_path) == list(zip(low, high, strict=True))


@pytest.mark.parametrize(("options", "is_known"), [({}, True), ({"bin_construct_sample_cnt": 60}, False)])
def test_lightgbms_own_file(options: dict[str, int], is_known: bool, tmp_path: Path) -> None:
    parameters = {**QUIET, "objective": "regression", **options}
    category = np.arange(120) % 4
    data = lightgbm.Dataset(np.column_stack([X, category, np.ones(120)]), Y, categorical_feature=[3])
    lightgbm.train(parameters, data, 3).save_model(tmp_path / "model.txt")
    features = lightgbm_format.load(tmp_path).signature.features or ()
    expected = (ENDS if is_known else UNKNOWN) + [(None, None)] * 2
    assert [(one.low, one.high) for one in features] == expected


def test_drift_counts_what_lies_outside(tmp_path: Path) -> None:
    joblib.dump(make_pipeline(MinMaxScaler(), LinearRegression()).fit(X, Y), tmp_path / "model.joblib")
    served = sklearn_format.load(tmp_path, models.LoadOptions(is_pinned=True))
    watched = drift.Drift(served.signature, clock=lambda: 0.0)
    above, below = X.max(axis=0) + np.array([1.0, 0.0, 0.0]), X.min(axis=0) - np.array([1.0, 0.0, 1.0])
    table = np.vstack([X, above, below])
    watched.observe(table)
    assert [one.out_of_range for one in watched.figures()] == [2, 0, 1]
    assert builders.predict(served, table).shape == (122,)


def test_only_features_with_ends_have_the_metric() -> None:
    known = models.Feature("age", models.Kind.NUMBER, low=0.0, high=9.0)
    unknown = models.Feature("income", models.Kind.NUMBER)
    watched = drift.Drift(models.Signature(features=(known, unknown)), clock=lambda: 0.0)
    watched.observe(np.array([[10.0, 10.0]]))
    published = metrics.Metrics()
    published.watch(watched.figures)
    lines = published.render().decode().splitlines()
    outside = [line for line in lines if line.startswith("modelyard_feature_out_of_range{")]
    assert outside == ['modelyard_feature_out_of_range{feature="age"} 1.0']
    assert 'modelyard_feature_rows{feature="income"} 1.0' in lines
