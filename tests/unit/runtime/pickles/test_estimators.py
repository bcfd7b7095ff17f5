"""What scikit-learn, XGBoost, LightGBM and pandas pickle of their own passes, and predicts the same afterwards."""

import io
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import sklearn.feature_extraction.text as texts
import sklearn.frozen
import sklearn.gaussian_process
import sklearn.metrics
import sklearn.model_selection as selection
import sklearn.neighbors
import sklearn.utils
import sklearn.utils.estimator_checks as checks
import xgboost
from sklearn import base, compose, ensemble, linear_model, multioutput, pipeline, preprocessing, svm
from sklearn.gaussian_process import kernels
from sklearn.utils._test_common import instance_generator

from modelyard_runtime.formats.pickles import loader
from tests.support import estimators

pytestmark = pytest.mark.filterwarnings("ignore")

_RANDOM = np.random.RandomState(0)
X = np.abs(_RANDOM.normal(size=(60, 4))) + 3 * (np.arange(60) % 2)[:, None]
Y = np.arange(60) % 2
VALUES = X[:, 0] * 2 + 0.1
DOCUMENTS = ["apple bear cat", "bear cat dog", "dog egg"] * 20
FRAME = pd.DataFrame(
    {"a": X[:, 0], "b": X[:, 1], "c": pd.Categorical(np.array(["u", "v"])[Y]), "d": ["x", "y", "z"] * 20}
)
METHODS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")


def _writings(value: Any) -> Iterator[tuple[str, bytes]]:
    """The value as people save it."""
    for protocol in (2, 3, 4, 5):
        yield f"pickle {protocol}", pickle.dumps(value, protocol=protocol)
    for compress in (0, 3, ("gzip", 3), ("xz", 1)):
        opened = io.BytesIO()
        joblib.dump(value, opened, compress=compress)
        yield f"joblib {compress}", opened.getvalue()


def _check(value: Any, folder: Path, data: Any) -> None:
    file = folder / "model.joblib"
    expected = {method: getattr(value, method)(data) for method in METHODS if hasattr(value, method)}
    for how, content in _writings(value):
        file.write_bytes(content)
        loaded = loader.load(file)
        assert type(loaded) is type(value), how
        for method, answer in expected.items():
            _compare(answer, getattr(loaded, method)(data), f"{method}, {how}")


def _compare(expected: Any, found: Any, how: str) -> None:
    if hasattr(expected, "toarray"):
        expected, found = expected.toarray(), found.toarray()
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.dtype.kind == "f":
        # A pickle doesn't keep how an array lies in memory, and some sums depend on it.
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=how)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=how)


def _public() -> list[str]:
    return [name for name, _ in sklearn.utils.all_estimators()]


# Estimators that want other data than the checks of scikit-learn make up.
_OTHER_DATA: dict[str, Callable[[], tuple[Any, Any]]] = {
    "CountVectorizer": lambda: (texts.CountVectorizer().fit(DOCUMENTS), DOCUMENTS),
    "TfidfVectorizer": lambda: (texts.TfidfVectorizer(stop_words="english").fit(DOCUMENTS), DOCUMENTS),
    "HashingVectorizer": lambda: (texts.HashingVectorizer(n_features=16), DOCUMENTS),
    "DictVectorizer": lambda: (sklearn.feature_extraction.DictVectorizer().fit([{"a": 1.0}]), [{"a": 2.0}]),
    "FeatureHasher": lambda: (sklearn.feature_extraction.FeatureHasher(8), [{"a": 2.0}]),
    "FrozenEstimator": lambda: (sklearn.frozen.FrozenEstimator(linear_model.Ridge().fit(X, VALUES)), X),
    "LabelBinarizer": lambda: (preprocessing.LabelBinarizer().fit(Y), Y),
    "LabelEncoder": lambda: (preprocessing.LabelEncoder().fit(["a", "b"]), ["b", "a"]),
    "MultiLabelBinarizer": lambda: (preprocessing.MultiLabelBinarizer().fit([["a"], ["b"]]), [["a", "b"]]),
    "PatchExtractor": lambda: (sklearn.feature_extraction.image.PatchExtractor(patch_size=(2, 2)), X[None]),
    "SparseCoder": lambda: (sklearn.decomposition.SparseCoder(np.eye(4)), X),
}


def _fitted(name: str) -> list[tuple[Any, Any]]:
    if name in _OTHER_DATA:
        return [_OTHER_DATA[name]()]
    kind = dict(sklearn.utils.all_estimators())[name]
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator in instance_generator._construct_instances(kind):
            # The checks change both in place, for some kinds of estimator.
            data = checks._enforce_estimator_tags_X(estimator, X.copy())
            target = checks._enforce_estimator_tags_y(estimator, Y.copy())
            if "random_state" in estimator.get_params():
                estimator.set_params(random_state=0)
            made.append((estimator.fit(data, target), data))
    return made


@pytest.mark.parametrize("name", _public())
def test_every_public_estimator_of_scikit_learn(name: str, tmp_path: Path) -> None:
    fitted = _fitted(name)
    assert fitted
    for estimator, data in fitted:
        _check(estimator, tmp_path, data)


def _distances() -> Iterator[tuple[str, Any]]:
    for metric in ("euclidean", "manhattan", "chebyshev", "minkowski", "hamming", "canberra", "braycurtis"):
        for algorithm in ("ball_tree", "kd_tree"):
            if metric in sklearn.neighbors.VALID_METRICS[algorithm]:
                for kind in (np.float64, np.float32):
                    model = sklearn.neighbors.KNeighborsClassifier(algorithm=algorithm, metric=metric, p=3)
                    yield f"{metric} {algorithm} {kind.__name__}", model.fit(X.astype(kind), Y)


def _by_column() -> Any:
    return compose.ColumnTransformer(
        [
            ("n", preprocessing.StandardScaler(), compose.make_column_selector(dtype_include=np.number)),
            ("c", preprocessing.OneHotEncoder(), ["c", "d"]),
            ("z", "drop", slice(0, 1)),
        ]
    )


SPLITS: tuple[Any, ...] = (
    selection.ShuffleSplit(2), selection.RepeatedKFold(n_splits=2), selection.RepeatedStratifiedKFold(n_splits=2),
    selection.TimeSeriesSplit(2), selection.StratifiedShuffleSplit(2), selection.PredefinedSplit([0, 1] * 30),
)  # fmt: skip
KERNELS = (
    kernels.RBF(), kernels.Matern(), kernels.RationalQuadratic(), kernels.ExpSineSquared(), kernels.DotProduct(),
    kernels.ConstantKernel() * kernels.RBF() + kernels.WhiteKernel(), kernels.RBF() ** 2, kernels.PairwiseKernel(),
)  # fmt: skip
LOSSES: dict[Callable[..., Any], tuple[str, ...]] = {
    linear_model.SGDClassifier: (
        "hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "huber", "epsilon_insensitive",
        "squared_epsilon_insensitive",
    ),
    ensemble.HistGradientBoostingRegressor: ("absolute_error", "poisson", "gamma", "squared_error"),
    ensemble.GradientBoostingRegressor: ("squared_error", "absolute_error", "huber", "quantile"),
    ensemble.GradientBoostingClassifier: ("log_loss", "exponential"),
}  # fmt: skip


def _others() -> Iterator[tuple[str, Any, Any]]:
    """Fitted models beyond the defaults, each with data to ask it."""
    for name, fitted in _distances():
        yield name, fitted, X
    for kernel in KERNELS:
        yield (
            str(kernel),
            sklearn.gaussian_process.GaussianProcessRegressor(kernel, alpha=9.0, optimizer=None).fit(
                X[:20], VALUES[:20]
            ),
            X,
        )
    for kind, listed in LOSSES.items():
        for loss in listed:
            yield (
                f"{kind.__name__} {loss}",
                kind(loss=loss).fit(X, Y if base.is_classifier(kind()) else VALUES),
                X,
            )
    for power in (0, 1, 1.5, 2):
        for link in ("log", "identity"):
            yield (
                f"Tweedie {power} {link}",
                linear_model.TweedieRegressor(power=power, link=link).fit(X, VALUES),
                X,
            )
    for split in SPLITS:
        search = selection.GridSearchCV(linear_model.Ridge(), {"alpha": [1.0, 2.0]}, cv=split)
        yield f"search {type(split).__name__}", search.fit(X, Y), X
    scored = selection.GridSearchCV(
        svm.SVC(probability=True), {"C": [1, 2]}, cv=2, scoring=["accuracy", "roc_auc"], refit="accuracy"
    )
    yield "search with two scores", scored.fit(X, Y), X
    scorer = sklearn.metrics.make_scorer(sklearn.metrics.f1_score, average="macro")
    yield (
        "search with a scorer",
        selection.GridSearchCV(svm.SVC(), {"C": [1]}, cv=2, scoring=scorer).fit(X, Y),
        X,
    )
    for function in (np.log1p, np.sqrt, np.abs, np.exp, np.square, np.clip, np.nan_to_num, np.float32, None):
        arguments = {"kw_args": {"a_min": 0, "a_max": 1}} if function is np.clip else {}
        yield f"FunctionTransformer {function}", preprocessing.FunctionTransformer(function, **arguments), X
    yield from _pipelines()
    yield from _boosters()


def _pipelines() -> Iterator[tuple[str, Any, Any]]:
    target = compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1)
    yield "transformed target", target.fit(X, VALUES), X
    yield (
        "columns",
        pipeline.make_pipeline(_by_column(), linear_model.LogisticRegression()).fit(FRAME, Y),
        FRAME,
    )
    as_frames = pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge())
    yield (
        "output as frames",
        as_frames.set_output(transform="pandas").fit(FRAME[["a", "b"]], Y),
        FRAME[["a", "b"]],
    )
    by_type = ensemble.HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype")
    yield "categories of a frame", by_type.fit(FRAME[["a", "c"]], Y), FRAME[["a", "c"]]
    yield (
        "labels of text",
        ensemble.RandomForestClassifier(3).fit(FRAME[["a", "b"]], FRAME["d"]),
        FRAME[["a", "b"]],
    )
    several = multioutput.MultiOutputClassifier(linear_model.LogisticRegression())
    yield "several targets", several.fit(X, np.c_[Y, 1 - Y]), X
    tokens = texts.TfidfVectorizer(strip_accents="unicode", dtype=np.float32, ngram_range=(1, 2))
    yield "text", pipeline.make_pipeline(tokens, svm.LinearSVC()).fit(DOCUMENTS, Y), DOCUMENTS


def _boosters() -> Iterator[tuple[str, Any, Any]]:
    few: dict[str, Any] = {"n_estimators": 3}
    yield "XGBoost's classifier", xgboost.XGBClassifier(**few).fit(X, Y), X
    yield "XGBoost's regressor", xgboost.XGBRegressor(**few).fit(X, VALUES), X
    yield "XGBoost's forest", xgboost.XGBRFClassifier(**few).fit(X, Y), X
    yield "XGBoost's ranker", xgboost.XGBRanker(**few).fit(X, Y, qid=np.zeros(60)), X
    stopping = xgboost.XGBClassifier(**few, callbacks=[xgboost.callback.EarlyStopping(2)])
    yield "XGBoost with a callback", stopping.fit(X, Y, eval_set=[(X, Y)], verbose=False), X
    framed = xgboost.XGBClassifier(**few, enable_categorical=True)
    yield "XGBoost on a frame", framed.fit(FRAME[["a", "b", "c"]], Y), FRAME[["a", "b", "c"]]
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, Y), 3)
    yield "XGBoost's booster", booster, xgboost.DMatrix(X)
    yield (
        "LightGBM's classifier",
        lightgbm.LGBMClassifier(**few, verbose=-1).fit(X, np.array(["a", "b"])[Y]),
        X,
    )
    yield "LightGBM's regressor", lightgbm.LGBMRegressor(**few, verbose=-1).fit(X, VALUES), X
    yield "LightGBM's ranker", lightgbm.LGBMRanker(**few, verbose=-1).fit(X, Y, group=[60]), X
    light = lightgbm.LGBMClassifier(**few, verbose=-1).fit(FRAME[["a", "b", "c"]], Y)
    yield "LightGBM on a frame", light, FRAME[["a", "b", "c"]]
    yield "LightGBM's booster", lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, Y), 3), X


def test_other_models_of_the_libraries(tmp_path: Path) -> None:
    count = 0
    for name, fitted, data in _others():
        count += 1
        try:
            _check(fitted, tmp_path, data)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error
    assert count >= 80


@pytest.mark.parametrize("group", [estimators.CLASSIFIERS, estimators.REGRESSORS, estimators.MIXED])
def test_the_models_that_engines_are_tried_with(group: dict[str, Any], tmp_path: Path) -> None:
    for make in group.values():
        data = estimators.PEOPLE if group is estimators.MIXED else estimators.X
        target = estimators.VALUES if group is estimators.REGRESSORS else estimators.LABELS
        _check(make().fit(data, target), tmp_path, data)


def test_data_keeps_its_types(tmp_path: Path) -> None:
    values = [
        X, np.asfortranarray(X), np.array(["a", "b"]), np.array(["a", 1, None], object), np.float32(1), np.str_("a"),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f8", (2,))]), np.array(["2020"], "M8[D]"), np.zeros((0, 3)), FRAME,
        np.ma.array([1, 2], mask=[True, False]), np.random.RandomState(0), np.random.default_rng(0), {1, 2}, 2**200,
        frozenset("a"), bytearray(b"x"), 1j, range(3), slice(1), "x" * 10_000, "é", -5, 1.5, None, True, (1, (2,)),
        pd.Series(["a"], dtype="string"), pd.Timestamp("2020", tz="UTC"), np.dtype("f8"), np.float64, FRAME["c"].dtype,
        sklearn.utils.Bunch(a=1),
    ]  # fmt: skip
    file = tmp_path / "model.joblib"
    for value in values:
        for how, content in _writings([value, value]):
            file.write_bytes(content)
            found = loader.load(file)[1]
            assert type(found) is type(value), how
            assert repr(found) == repr(value) or "RandomState" in repr(value) or "Generator" in repr(value), (
                how
            )
