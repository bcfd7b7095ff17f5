"""What scikit-learn models answer: every kind of output, and what is left out of a call without changing it."""

import warnings
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn
import xgboost
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from modelyard_runtime.formats import sklearn_shortcuts
from tests.unit.runtime import builders

GENERATOR = np.random.default_rng(7)
X = GENERATOR.normal(size=(60, 3))
Y = np.arange(60) % 3
TWO = np.stack([np.arange(60) % 2, Y], axis=1)
FRAME = pd.DataFrame(X, columns=["age", "income", "height"])


def _loaded(estimator: Any, folder: Path) -> sklearn_format.SklearnModel:
    joblib.dump(estimator, folder / "model.joblib")
    return sklearn_format.load(folder)


ANSWERS: dict[str, tuple[Any, Any, dict[str, str]]] = {
    "a classifier": (SVC(), Y, {"predict": "predict", "decision_function": "decision_function"}),
    "a forest": (RandomForestClassifier(3), Y, {"predict": "predict", "predict_proba": "predict_proba"}),
    "several numbers at once": (LinearRegression(), TWO, {"predict": "predict"}),
    "clusters": (KMeans(2, n_init=1), None, {"predict": "predict", "transform": "transform"}),
    "outliers": (IsolationForest(n_estimators=3), None, {"predict": "predict"}),
    "a transformer": (StandardScaler(), None, {"transform": "transform"}),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_each_output_is_what_the_method_of_that_name_gives(case: str, tmp_path: Path) -> None:
    estimator, target, outputs = ANSWERS[case]
    model = _loaded(estimator.fit(X, target), tmp_path)
    assert set(outputs) <= {output.name for output in model.signature.outputs}
    assert model.signature.default_outputs == {next(iter(outputs))}
    for output, method in outputs.items():
        expected = getattr(estimator, method)(X[:5])
        answer = builders.predict(model, X[:5], output)
        assert answer.dtype == expected.dtype
        assert np.array_equal(answer, expected)


@pytest.mark.parametrize(
    "estimator", [RandomForestClassifier(3), MultiOutputClassifier(LogisticRegression())], ids=str
)
def test_probabilities_of_several_targets_are_one_array(estimator: Any, tmp_path: Path) -> None:
    model = _loaded(estimator.fit(X, TWO), tmp_path)
    assert model.signature.outputs[0] == models.TensorSpec("predict", "INT64", (-1, 2))
    assert builders.predict(model, X[:5]).tolist() == estimator.predict(X[:5]).tolist()
    answer = builders.predict(model, X[:5], models.PROBABILITY)
    first, second = estimator.predict_proba(X[:5])
    assert answer.shape == (5, 2, 3)
    assert np.array_equal(answer[:, 0, :2], first)
    assert answer[:, 0, 2].tolist() == [0.0] * 5  # the first target has no third class
    assert np.array_equal(answer[:, 1], second)


def test_a_sparse_answer_is_filled_in(tmp_path: Path) -> None:
    estimator = TfidfVectorizer().fit(["good film", "bad film"])
    model = _loaded(estimator, tmp_path)
    answer = builders.predict(model, np.array(["good bad"], dtype=object), "transform")
    assert np.array_equal(answer, estimator.transform(["good bad"]).toarray())


def test_missing_values_may_reach_an_imputer_behind_columns(tmp_path: Path) -> None:
    columns = ColumnTransformer([("n", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"])])
    estimator = make_pipeline(columns, LogisticRegression()).fit(FRAME, Y)
    model = _loaded(estimator, tmp_path)
    assert model.signature.allows_missing
    table = np.array([[np.nan, 1.0, 2.0]])
    assert (
        builders.predict(model, table).tolist()
        == estimator.predict(FRAME[:1].assign(age=np.nan, income=1.0)).tolist()
    )


def test_boosting_takes_the_categories_it_was_fitted_on(tmp_path: Path) -> None:
    frame = FRAME.assign(city=pd.Categorical(["Oslo", "Rome"] * 30))
    estimator = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2).fit(frame, TWO[:, 0])
    model = _loaded(estimator, tmp_path)
    assert model.signature.features is not None
    assert model.signature.features[3] == models.Feature("city", models.Kind.TEXT)
    table = frame[:6].astype(object).to_numpy()
    assert builders.predict(model, table).tolist() == estimator.predict(frame[:6]).tolist()


WITHOUT_FRAME: dict[str, Any] = {
    "a pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "a forest": RandomForestClassifier(3),
    "votes": VotingClassifier([("a", LogisticRegression()), ("b", make_pipeline(StandardScaler(), SVC()))]),
}


@pytest.mark.parametrize("case", WITHOUT_FRAME)
def test_names_that_change_nothing_cost_nothing(case: str, tmp_path: Path) -> None:
    estimator = WITHOUT_FRAME[case].fit(FRAME, Y)
    model = _loaded(estimator, tmp_path)
    assert model._build is None
    assert [feature.name for feature in model.signature.features or ()] == ["age", "income", "height"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns when names are lost on the way
        assert np.array_equal(builders.predict(model, X), estimator.predict(FRAME))


WITH_FRAME: dict[str, Any] = {
    "columns chosen by name": make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["height", "age"])]), LogisticRegression()
    ),
    "a step that gives DataFrames": make_pipeline(
        StandardScaler().set_output(transform="pandas"), LogisticRegression()
    ),
    "a function that looks for names now and then": make_pipeline(
        FunctionTransformer(
            lambda table: np.asarray(table) * (np.max(table) > 1e6 and hasattr(table, "columns"))
        ),
        LogisticRegression(),
    ),
    "a function of its own": make_pipeline(
        FunctionTransformer(lambda frame: frame[["age"]]), LogisticRegression()
    ),
}


@pytest.mark.parametrize("case", WITH_FRAME)
def test_names_stay_where_they_matter(case: str) -> None:
    estimator = WITH_FRAME[case].fit(FRAME, Y)
    model = sklearn_format.from_estimator(estimator, "model.joblib", ())
    assert model._build is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(builders.predict(model, X), estimator.predict(FRAME))


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "missing"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
@pytest.mark.parametrize(("data", "label"), [(FRAME, "'income'"), (X, "1")], ids=["named", "unnamed"])
def test_what_scikit_learn_refuses_is_refused_with_its_place(
    value: float, word: str, data: Any, label: str, tmp_path: Path
) -> None:
    model = _loaded(make_pipeline(StandardScaler(), LogisticRegression()).fit(data, Y), tmp_path)
    table = np.array([[1.0, 2.0, 3.0], [1.0, value, 3.0]])
    builders.predict(model, table[:1])  # the checks were off for this one
    with pytest.raises(errors.InvalidInput, match=f"^X, row 1, feature {label} is {word}"):
        builders.predict(model, table)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_number_too_large_for_a_tree_is_refused(tmp_path: Path) -> None:
    model = _loaded(RandomForestClassifier(3).fit(X, Y), tmp_path)
    builders.predict(model, X[:1])
    with pytest.raises(errors.InvalidInput, match="too large"):
        builders.predict(model, np.array([[1.0, 1e300, 3.0]]))


def test_checks_are_left_out_only_where_nothing_can_go_wrong() -> None:
    def skips(estimator: Any, table: models.Table) -> bool:
        checks = sklearn_shortcuts.Checks(estimator.fit(np.abs(X) + 1, Y))
        with sklearn.config_context():  # the caller's settings are this thread's
            checks.adjust(table)
            return bool(sklearn.get_config()["assume_finite"])

    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    assert skips(scaled, X)
    assert not skips(scaled, np.array([[1.0, np.nan, 1.0]]))
    assert not skips(scaled, np.array([[1.0, 1e31, 1.0]]))
    assert not skips(scaled, X.astype(object))
    assert not skips(make_pipeline(FunctionTransformer(np.log), LogisticRegression()), X)
    assert not skips(make_pipeline(PolynomialFeatures(2), LogisticRegression()), X)


def _centred(table: models.Table) -> models.Table:
    return np.asarray(table - table.mean(axis=0))


def test_a_function_of_the_user_may_look_at_other_rows() -> None:
    for function, expected in ((np.log1p, True), (None, True), (_centred, False)):
        estimator = make_pipeline(FunctionTransformer(function), LinearRegression()).fit(np.abs(X), Y)
        assert sklearn_format.from_estimator(estimator, "m", ()).signature.is_row_wise is expected


def test_text_beside_a_missing_value_is_the_callers_fault(tmp_path: Path) -> None:
    frame = pd.DataFrame({"city": ["Oslo", "Rome"] * 30})
    model = _loaded(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, TWO[:, 0]), tmp_path)
    with pytest.raises(errors.InvalidInput):
        builders.predict(model, np.array([["Oslo"], [None]], dtype=object))


def test_another_version_is_refused_where_the_policy_says_so(tmp_path: Path) -> None:
    joblib.dump(LinearRegression().fit(X, Y), tmp_path / "model.joblib")
    written = (tmp_path / "model.joblib").read_bytes()
    older = written.replace(sklearn.__version__.encode(), b"1.0.2"[: len(sklearn.__version__)])
    (tmp_path / "model.joblib").write_bytes(older)
    options = models.LoadOptions(refuses_other_versions=True)
    with pytest.raises(errors.StartFailure, match=r"1\.0\.2") as caught:
        sklearn_format.load(tmp_path, options)
    assert caught.value.reason is errors.Reason.VERSION_MISMATCH
    assert len(sklearn_format.load(tmp_path).warnings) == 1


BOOSTED: dict[str, Any] = {
    "XGBoost": xgboost.XGBClassifier(n_estimators=3, enable_categorical=True, n_jobs=1),
    "LightGBM": lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=2, verbose=-1, n_jobs=1),
}


@pytest.mark.parametrize("cities", [["Oslo", "Rome"], [3, 7], None], ids=["text", "numbers", "no categories"])
@pytest.mark.parametrize("library", BOOSTED)
def test_a_pickle_of_a_boosting_library_takes_what_its_file_would(
    library: str, cities: list[Any] | None, tmp_path: Path
) -> None:
    frame = FRAME if cities is None else FRAME.assign(city=pd.Categorical(cities * 30))
    estimator = BOOSTED[library].fit(frame, TWO[:, 0])
    model = _loaded(estimator, tmp_path)
    assert model.signature.allows_missing
    is_text = cities == ["Oslo", "Rome"]
    assert model.signature.is_numeric is not is_text
    table = frame.astype(object if is_text else float).to_numpy()
    assert np.array_equal(builders.predict(model, table), estimator.predict(frame))
    expected = estimator.predict_proba(frame)
    assert np.array_equal(builders.predict(model, table, models.PROBABILITY), expected)
