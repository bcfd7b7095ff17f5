"""scikit-learn files load with the signature they deserve, or fail with what they are instead."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from modelyard_runtime.formats.pickles import rule
from tests.unit.runtime import builders

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
Y = np.array([0, 1, 0, 1])
PEOPLE = pd.DataFrame({"age": [30.0, 40.0, 50.0, 60.0], "city": ["Oslo", "Rome", "Oslo", "Rome"]})
NUMBER, TEXT, ANY = models.Kind.NUMBER, models.Kind.TEXT, models.Kind.ANY


def _by_column() -> Any:
    columns = ColumnTransformer([("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(), ["city"])])
    return make_pipeline(columns, LogisticRegression())


def _loaded(estimator: Any, folder: Path) -> sklearn_format.SklearnModel:
    joblib.dump(estimator, folder / "model.joblib")
    return sklearn_format.load(folder / "model.joblib")


NUMERIC: dict[str, Any] = {
    "linear regression": LinearRegression(),
    "logistic regression": LogisticRegression(),
    "decision tree": DecisionTreeClassifier(),
    "random forest": RandomForestClassifier(5),
    "support vector machine": SVC(),
    "nearest neighbours": KNeighborsClassifier(1),
    "gradient boosting": HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=1),
    "clusters": KMeans(2, n_init=1),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("case", NUMERIC)
def test_a_model_of_numbers_predicts_as_scikit_learn_does(case: str, tmp_path: Path) -> None:
    estimator = NUMERIC[case].fit(X, Y)
    model = _loaded(estimator, tmp_path)
    features = [(one.name, one.kind) for one in model.signature.features or ()]
    assert features == [("x0", NUMBER), ("x1", NUMBER)]
    assert not model.signature.is_named
    answer = builders.predict(model, X)
    assert answer.tolist() == estimator.predict(X).tolist()
    assert answer.dtype == estimator.predict(X).dtype


def test_missing_values_are_for_models_that_take_them(tmp_path: Path) -> None:
    boosting = _loaded(NUMERIC["gradient boosting"].fit(X, Y), tmp_path)
    linear = _loaded(LinearRegression().fit(X, Y), tmp_path)
    assert (boosting.signature.allows_missing, linear.signature.allows_missing) == (True, False)


def test_names_come_from_the_data_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=["width", "height"])
    estimator = LinearRegression().fit(frame, Y)
    model = _loaded(estimator, tmp_path)
    assert model.signature.features == (models.Feature("width", NUMBER), models.Feature("height", NUMBER))
    assert model.signature.is_named
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns when names are lost on the way
        assert builders.predict(model, X).tolist() == estimator.predict(frame).tolist()


def test_columns_of_text_and_numbers_are_told_apart(tmp_path: Path) -> None:
    estimator = _by_column().fit(PEOPLE, Y)
    model = _loaded(estimator, tmp_path)
    assert model.signature.features == (models.Feature("age", NUMBER), models.Feature("city", TEXT))
    table = np.array([[30, "Oslo"], [60, "Rome"]], dtype=object)
    assert builders.predict(model, table).tolist() == estimator.predict(PEOPLE.iloc[[0, 3]]).tolist()


SELECTIONS: dict[str, tuple[list[Any], list[models.Kind]]] = {
    "by position": ([("n", StandardScaler(), [0]), ("c", OneHotEncoder(), [1])], [NUMBER, TEXT]),
    "by slice": ([("n", StandardScaler(), slice(0, 1)), ("c", OneHotEncoder(), slice(1, 2))], [NUMBER, TEXT]),
    "by mask": (
        [("n", StandardScaler(), [True, False]), ("c", OneHotEncoder(), np.array([False, True]))], [NUMBER, TEXT],
    ),
    "by one name": ([("n", StandardScaler(), ["age"]), ("c", CountVectorizer(), "city")], [NUMBER, ANY]),
    "passed through": ([("n", "passthrough", ["age"]), ("c", OneHotEncoder(), ["city"])], [ANY, TEXT]),
    "a pipeline of its own": (
        [("n", make_pipeline(StandardScaler()), ["age"]), ("c", make_pipeline(OneHotEncoder()), ["city"])],
        [NUMBER, TEXT],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SELECTIONS)
def test_columns_are_found_however_they_were_selected(case: str, tmp_path: Path) -> None:
    transformers, kinds = SELECTIONS[case]
    estimator = make_pipeline(ColumnTransformer(transformers), LogisticRegression()).fit(PEOPLE, Y)
    model = _loaded(estimator, tmp_path)
    assert model.signature.features is not None
    assert [feature.kind for feature in model.signature.features] == kinds
    table = PEOPLE.to_numpy(dtype=object)
    assert builders.predict(model, table).tolist() == estimator.predict(PEOPLE).tolist()


WRAPPED: dict[str, tuple[Any, list[models.Kind]]] = {
    "a search": (GridSearchCV(_by_column(), {"logisticregression__C": [1.0]}, cv=2), [NUMBER, TEXT]),
    "votes of pipelines": (VotingClassifier([("a", _by_column()), ("b", _by_column())]), [ANY, ANY]),
    "a calibrated pipeline": (CalibratedClassifierCV(_by_column(), cv=2), [ANY, ANY]),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_columns_are_found_behind_a_wrapper(case: str, tmp_path: Path) -> None:
    estimator, kinds = WRAPPED[case]
    model = _loaded(estimator.fit(PEOPLE, Y), tmp_path)
    assert model.signature.features is not None
    assert [feature.kind for feature in model.signature.features] == kinds
    assert (
        builders.predict(model, PEOPLE.to_numpy(dtype=object)).tolist() == estimator.predict(PEOPLE).tolist()
    )


TEXTS = ["good", "bad", "very good", "very bad"]
DOCUMENT_MODELS: dict[str, Any] = {
    "a pipeline": make_pipeline(CountVectorizer(), LogisticRegression()),
    "a union": make_pipeline(
        FeatureUnion([("w", CountVectorizer()), ("t", TfidfVectorizer())]), LogisticRegression()
    ),
    "a search": GridSearchCV(make_pipeline(TfidfVectorizer(), LogisticRegression()), {}, cv=2),
    "a calibrated pipeline": CalibratedClassifierCV(
        make_pipeline(TfidfVectorizer(), LogisticRegression()), cv=2
    ),
}


def test_a_transformed_target_changes_nothing_for_the_input(tmp_path: Path) -> None:
    estimator = TransformedTargetRegressor(LinearRegression(), transformer=StandardScaler()).fit(X, Y)
    model = _loaded(estimator, tmp_path)
    assert model.signature.is_numeric
    assert builders.predict(model, X).tolist() == estimator.predict(X).tolist()


def test_an_encoder_of_numbers_takes_numbers(tmp_path: Path) -> None:
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(np.array([[1], [2], [1], [2]]), Y)
    model = _loaded(estimator, tmp_path)
    assert model.signature.features == (models.Feature("x0", NUMBER),)
    assert builders.predict(model, np.array([[1.0], [2.0]])).tolist() == [0, 1]


@pytest.mark.parametrize("case", DOCUMENT_MODELS)
def test_a_model_of_documents_takes_text(case: str, tmp_path: Path) -> None:
    model = _loaded(DOCUMENT_MODELS[case].fit(TEXTS, ["+", "-", "+", "-"]), tmp_path)
    assert model.signature.takes_documents
    assert model.signature.outputs[0] == models.TensorSpec("predict", "BYTES", (-1,))
    assert builders.predict(model, np.array(["good", "bad"], dtype=object)).tolist() == ["+", "-"]


def test_input_the_estimator_refuses_is_the_callers_fault(tmp_path: Path) -> None:
    model = _loaded(_by_column().fit(PEOPLE, Y), tmp_path)
    with pytest.raises(errors.InvalidInput, match="Atlantis"):
        builders.predict(model, np.array([[30, "Atlantis"]], dtype=object))


class Failing:
    """An estimator whose predict fails for its own reasons."""

    def predict(self, table: object) -> None:
        """Fails."""
        raise ZeroDivisionError("in /usr/lib/secret/module.py: division")


def test_a_failing_estimator_is_the_models_fault_and_shows_no_path(tmp_path: Path) -> None:
    joblib.dump(Failing(), tmp_path / "model.joblib")
    model = sklearn_format.load(tmp_path / "model.joblib", models.LoadOptions(is_pinned=True))
    with pytest.raises(errors.ModelFailed, match="ZeroDivisionError") as caught:
        builders.predict(model, X)
    assert "/usr/lib" not in caught.value.message


def _dump(value: object) -> bytes:
    return pickle.dumps(value)


UNLOADABLE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "an empty file": (b"", ("is empty",)),
    "an HTML page": (b"<!doctype html><p>Sign in", ("is an HTML page",)),
    "a ZIP archive": (b"PK\x03\x04" + b"\0" * 100, ("is a ZIP archive",)),
    "a dictionary": (_dump({"coef": [1]}), ("holds a dict", "itself")),
    "an array": (_dump(np.zeros(3)), ("holds a ndarray",)),
    "an estimator that was never fitted": (_dump(LinearRegression()), ("LinearRegression", "not fitted")),
    "a pipeline that was never fitted": (_dump(make_pipeline(StandardScaler(), SVC())), ("Pipeline", "not fitted")),
    "a file that was cut off": (_dump(LinearRegression().fit(X, Y))[:200], ("can't be read to its end",)),
    "a library that is not here": (b"cxgboost_of_tomorrow\nModel\n.", ("'xgboost_of_tomorrow'", "runtime class")),
    "a class that is not here": (b"csklearn.linear_model\nNoSuchModel\n)\x81.", ("NoSuchModel", sklearn.__version__)),
    "a class of the script that saved it": (b"c__main__\nMyOwnModel\n.", ("MyOwnModel", "your own classes")),
    "compressed nonsense": (b"\x1f\x8b" + b"\0" * 50, ("can't be read to its end",)),
}  # fmt: skip


def _rule(case: str) -> rule.Rule:
    """What the list refuses first is tried without it."""
    is_unlisted = case in ("a library that is not here", "a class of the script that saved it")
    return rule.Rule.ANY if is_unlisted else rule.Rule.RESTRICTED


@pytest.mark.parametrize("case", UNLOADABLE)
def test_what_is_no_model_is_named(case: str, tmp_path: Path) -> None:
    content, words = UNLOADABLE[case]
    (tmp_path / "model.pkl").write_bytes(content)
    with pytest.raises(errors.StartFailure) as caught:
        sklearn_format.load(tmp_path / "model.pkl", models.LoadOptions(pickle_rule=_rule(case)))
    assert caught.value.reason is errors.Reason.LOAD_FAILED
    for word in words:
        assert word in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_another_version_is_a_note_and_no_error(tmp_path: Path) -> None:
    written = _dump(LinearRegression().fit(X, Y))
    older = written.replace(sklearn.__version__.encode(), b"1.0.2"[: len(sklearn.__version__)])
    assert older != written
    (tmp_path / "model.pkl").write_bytes(older)
    model = sklearn_format.load(tmp_path / "model.pkl")
    assert len(model.warnings) == 1
    assert "1.0.2" in model.warnings[0]
    assert sklearn.__version__ in model.warnings[0]


def test_versions_are_told(tmp_path: Path) -> None:
    model = _loaded(LinearRegression().fit(X, Y), tmp_path)
    assert model.versions == {"scikit-learn": sklearn.__version__, "numpy": np.__version__}
    assert model.warnings == ()
