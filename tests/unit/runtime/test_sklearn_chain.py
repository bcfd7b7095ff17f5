"""The short way through a fitted scikit-learn model gives the model's own answers, to the bit, or is not taken."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import base, ensemble, impute, linear_model, model_selection, preprocessing, svm, tree
from sklearn.pipeline import make_pipeline

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from modelyard_runtime.formats import sklearn_chain, sklearn_shortcuts
from tests.unit.runtime import builders

GENERATOR = np.random.default_rng(5)
X = GENERATOR.normal(size=(80, 3)) * [1.0, 30.0, 0.01]
TWO = (X[:, 0] > 0).astype(int)
THREE = np.array(["ash", "birch", "oak"])[np.arange(80) % 3]
VALUE = X @ [2.0, -0.1, 50.0] + GENERATOR.normal(size=80)
VALUES = np.stack([VALUE, X[:, 1]], axis=1)
NAMES = frozenset({"predict", "predict_proba", "decision_function", "transform"})

BOTH = {"predict", "predict_proba"}
ALL = {"predict", "predict_proba", "decision_function"}
TAKEN: dict[str, tuple[Any, Any, set[str]]] = {
    "a scaler": (preprocessing.StandardScaler(), None, {"transform"}),
    "one that only centres": (preprocessing.StandardScaler(with_std=False), None, {"transform"}),
    "one that only scales": (preprocessing.StandardScaler(with_mean=False), None, {"transform"}),
    "one of quantiles": (preprocessing.RobustScaler(), None, {"transform"}),
    "one to a range": (preprocessing.MinMaxScaler((-1, 1)), None, {"transform"}),
    "one by the largest": (preprocessing.MaxAbsScaler(), None, {"transform"}),
    "an imputer": (impute.SimpleImputer(), None, {"transform"}),
    "a line": (linear_model.LinearRegression(), VALUE, {"predict"}),
    "several lines": (linear_model.Ridge(), VALUES, {"predict"}),
    "a line without an intercept": (linear_model.ElasticNet(fit_intercept=False), VALUE, {"predict"}),
    "two classes": (linear_model.LogisticRegression(), TWO, ALL),
    "three classes": (linear_model.LogisticRegression(), THREE, ALL),
    "three by descent": (linear_model.SGDClassifier(random_state=0), THREE, {"predict", "decision_function"}),
    "a support vector": (svm.LinearSVC(random_state=0), TWO, {"predict", "decision_function"}),
    "a tree": (tree.DecisionTreeClassifier(random_state=0), THREE, BOTH),
    "a tree of values": (tree.ExtraTreeRegressor(random_state=0), VALUE, {"predict"}),
    "a forest": (ensemble.RandomForestClassifier(7, random_state=0), THREE, BOTH),
    "a forest of values": (ensemble.RandomForestRegressor(7, random_state=0), VALUE, {"predict"}),
    "extra trees": (ensemble.ExtraTreesClassifier(7, random_state=0), TWO, BOTH),
    "a pipeline": (
        make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
        THREE,
        ALL,
    ),
    "a longer one": (
        make_pipeline(
            impute.SimpleImputer(),
            "passthrough",
            preprocessing.MinMaxScaler(),
            ensemble.RandomForestClassifier(5, random_state=0),
        ),
        TWO,
        BOTH,
    ),
    "a search": (
        model_selection.GridSearchCV(
            make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
            {"logisticregression__C": [0.1, 1.0]},
            cv=2,
        ),
        TWO,
        ALL,
    ),
}
FITTED = {name: (base.clone(made).fit(X, target), outputs) for name, (made, target, outputs) in TAKEN.items()}


def _chain(estimator: Any) -> sklearn_chain.Chain | None:
    return sklearn_chain.build(estimator, frozenset(name for name in NAMES if hasattr(estimator, name)))


CHAINS = {name: _chain(estimator) for name, (estimator, _) in FITTED.items()}


@pytest.mark.parametrize("name", TAKEN)
def test_every_output_that_is_known_takes_the_short_way(name: str) -> None:
    chain = CHAINS[name]
    assert chain is not None
    assert chain.names == FITTED[name][1]


@given(
    st.sampled_from(sorted(TAKEN)),
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 70), st.just(3)),
        elements=st.floats(-1e30, 1e30),
        fill=st.floats(-100, 100),
    ),
)
@settings(deadline=None, max_examples=300)
def test_its_answers_are_the_estimators_to_the_bit(name: str, table: models.Table) -> None:
    estimator, chain = FITTED[name][0], CHAINS[name]
    assert chain is not None
    assert chain.takes(table)
    before = table.copy()
    with sklearn.config_context(assume_finite=True), np.errstate(all="ignore"):
        for output in chain.names:
            expected, found = getattr(estimator, output)(table), chain.answer(output, table)
            assert expected.dtype == found.dtype
            assert expected.shape == found.shape
            assert np.array_equal(expected, found, equal_nan=expected.dtype.kind == "f")
    assert np.array_equal(table, before)


class _Louder(linear_model.LinearRegression):  # type: ignore[misc]
    """A user's own, whose answers are not what its class's are."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return 2 * super().predict(X)


def _replaced() -> Any:
    estimator = linear_model.LinearRegression().fit(X, VALUE)
    estimator.predict = lambda table: np.zeros(len(table))
    return estimator


def _with_pandas() -> Any:
    scaler = preprocessing.StandardScaler().set_output(transform="pandas")
    return make_pipeline(scaler, linear_model.LinearRegression()).fit(X, VALUE)


def _wrong_tree() -> Any:
    # What a version whose arithmetic is another would look like: the proof fails.
    forest = ensemble.RandomForestRegressor(3, random_state=0).fit(X, VALUE)
    forest.estimators_[0] = tree.DecisionTreeRegressor(random_state=1).fit(X, VALUES)
    return forest


OTHERS: dict[str, Callable[[], Any]] = {
    "a class of the user's": lambda: _Louder().fit(X, VALUE),
    "a step of the user's": lambda: make_pipeline(preprocessing.StandardScaler(), _Louder()).fit(X, VALUE),
    "a method replaced": _replaced,
    "steps that give DataFrames": _with_pandas,
    "sparse coefficients": lambda: linear_model.LogisticRegression().fit(X, TWO).sparsify(),
    "a scaler that clips": lambda: preprocessing.MinMaxScaler(clip=True).fit(X),
    "a forest of many threads": lambda: ensemble.RandomForestClassifier(3, n_jobs=2).fit(X, TWO),
    "a forest of several targets": lambda: ensemble.RandomForestRegressor(3).fit(X, VALUES),
    "an imputer of zeros": lambda: impute.SimpleImputer(missing_values=0).fit(X),
    "a tree that is another's": _wrong_tree,
    "an estimator that is not known": lambda: svm.SVC().fit(X, TWO),
    "a scaler fitted on single precision": lambda: preprocessing.MinMaxScaler().fit(X.astype(np.float32)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_known_exactly_answers_itself(name: str) -> None:
    assert _chain(OTHERS[name]()) is None


def test_a_step_that_answers_otherwise_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def almost(estimator: Any, name: str) -> sklearn_chain.Step | None:
        return (lambda table: estimator.predict(table) * (1 + 1e-15)) if name == "predict" else None

    monkeypatch.setitem(sklearn_chain._MAKERS, "linear_model.LinearRegression", almost)
    assert _chain(linear_model.LinearRegression().fit(X, VALUE)) is None


TABLES: dict[str, models.Table] = {
    "missing": np.array([[1.0, np.nan, 2.0]]),
    "infinite": np.array([[1.0, np.inf, 2.0]]),
    "huge": np.array([[1.0, 1e300, 2.0]]),
    "too wide": np.zeros((1, 4)),
    "single precision": np.zeros((1, 3), dtype=np.float32),
    "objects": np.zeros((1, 3), dtype=np.object_),
    "another layout": np.asfortranarray(np.zeros((2, 3))),
    "no table": np.zeros(3),
    "no rows": np.zeros((0, 3)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_has_to_be_looked_at_goes_to_the_estimator(name: str) -> None:
    chain = CHAINS["a pipeline"]
    assert chain is not None
    assert not chain.takes(TABLES[name])


def test_the_model_refuses_in_the_estimators_words_after_the_short_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = sklearn_format.from_estimator(FITTED["a pipeline"][0], "m", ())
    asked: list[models.Table] = []
    adjust = sklearn_shortcuts.Checks.adjust

    def noted(checks: sklearn_shortcuts.Checks, table: models.Table) -> None:
        asked.append(table)
        adjust(checks, table)

    monkeypatch.setattr(sklearn_shortcuts.Checks, "adjust", noted)
    expected = FITTED["a pipeline"][0].predict(X[:2]).tolist()
    assert builders.predict(model, X[:2]).tolist() == expected
    assert not asked
    assert builders.predict(model.unabridged(), X[:2]).tolist() == expected
    assert len(asked) == 1
    with pytest.raises(errors.InvalidInput, match=r"row 0, feature 1 is missing \(NaN\)"):
        builders.predict(model, TABLES["missing"])
    assert len(asked) == 2
    assert builders.predict(model, X[:2]).tolist() == expected
