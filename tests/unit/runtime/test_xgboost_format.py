"""XGBoost files answer as the class that wrote them does, bit for bit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import xgboost as xgboost_format
from tests.unit.runtime import builders

GENERATOR = np.random.default_rng(11)
X = GENERATOR.normal(size=(90, 3))
Y = np.arange(90) % 3
MISSING = np.where(GENERATOR.random(X.shape) < 0.2, np.nan, X)
FRAME = pd.DataFrame(X, columns=["age", "income", "height"])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models of ninety rows are trained by one thread: several only wait for each other."""
    with xgboost.config_context(nthread=1):
        yield


def _loaded(model: Any, folder: Path, name: str = "model.ubj") -> xgboost_format.XGBoostModel:
    model.save_model(folder / name)
    return xgboost_format.load(folder)


CLASSES: dict[str, tuple[Any, Any]] = {
    "two classes": (xgboost.XGBClassifier(n_estimators=3), Y == 1),
    "three classes": (xgboost.XGBClassifier(n_estimators=3), Y),
    "labels by softmax": (xgboost.XGBClassifier(n_estimators=3, objective="multi:softmax"), Y),
    "a forest": (xgboost.XGBRFClassifier(n_estimators=3), Y),
    "a linear classifier": (xgboost.XGBClassifier(n_estimators=3, booster="gblinear"), Y == 1),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["model.ubj", "model.json"])
@pytest.mark.parametrize("case", CLASSES)
def test_a_classifiers_file_gives_labels_and_probabilities(case: str, name: str, tmp_path: Path) -> None:
    model, target = CLASSES[case]
    model.fit(X, target)
    served = _loaded(model, tmp_path, name)
    again = type(model)()
    again.load_model(tmp_path / name)
    answer, probability = (
        builders.predict(served, MISSING),
        builders.predict(served, MISSING, models.PROBABILITY),
    )
    assert answer.tolist() == again.predict(MISSING).tolist()
    assert np.array_equal(probability, again.predict_proba(MISSING))
    assert served.signature.classes == tuple(range(len(set(target.tolist()))))
    assert served.signature.default_outputs == {models.PREDICTION}
    assert {one.name: one.datatype for one in served.signature.outputs} == {
        "predict": "INT64",
        "predict_proba": "FP32",
    }


def test_a_classifier_of_several_labels_gives_each(tmp_path: Path) -> None:
    target = np.stack([Y == 0, Y == 1, Y < 2], axis=1).astype(int)
    model = xgboost.XGBClassifier(n_estimators=3).fit(X, target)
    served = _loaded(model, tmp_path)
    assert builders.predict(served, X).tolist() == model.predict(X).tolist()


BOOSTERS = (
    "binary:logistic",
    "binary:hinge",
    "multi:softprob",
    "multi:softmax",
    "reg:squarederror",
    "count:poisson",
)


@pytest.mark.parametrize("objective", BOOSTERS)
def test_a_boosters_file_answers_as_the_booster(objective: str, tmp_path: Path) -> None:
    target = Y == 1 if "binary" in objective else Y
    parameters = {"objective": objective, **({"num_class": 3} if "multi" in objective else {})}
    booster = xgboost.train(parameters, xgboost.DMatrix(X, target), 3)
    served = _loaded(booster, tmp_path)
    expected = booster.predict(xgboost.DMatrix(MISSING))
    answer = builders.predict(served, MISSING)
    assert (answer.dtype, answer.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(answer, expected)
    gives_probabilities = objective in ("binary:logistic", "multi:softprob", "multi:softmax")
    assert (models.PROBABILITY in served.signature.on_request) is gives_probabilities


def test_a_regressor_stops_where_it_was_best(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(n_estimators=50, early_stopping_rounds=2, learning_rate=1.0)
    model.fit(X[:60], Y[:60], eval_set=[(X[60:], Y[60:])], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    served = _loaded(model, tmp_path)
    assert np.array_equal(builders.predict(served, X), model.predict(X))


def test_names_come_from_the_file(tmp_path: Path) -> None:
    served = _loaded(xgboost.XGBRegressor(n_estimators=2).fit(FRAME, Y), tmp_path)
    assert served.signature.is_named
    assert [feature.name for feature in served.signature.features or ()] == ["age", "income", "height"]
    unnamed = _loaded(xgboost.XGBRegressor(n_estimators=2).fit(X, Y), tmp_path)
    assert not unnamed.signature.is_named
    with pytest.raises(errors.InvalidInput, match=r"2 vs\. 3"):
        builders.predict(unnamed, X[:, :2])


@pytest.mark.parametrize("cities", [["Oslo", "Rome", "Bern, north"], [3, 7, 9]], ids=["text", "numbers"])
def test_categories_arrive_as_they_were_named(cities: list[Any], tmp_path: Path) -> None:
    values = [cities[label] for label in Y]
    frame = FRAME.assign(city=pd.Categorical(values))
    model = xgboost.XGBRegressor(n_estimators=4, enable_categorical=True).fit(frame, Y * 10.0 + X[:, 0])
    served = _loaded(model, tmp_path)
    assert served.signature.features is not None
    is_text = isinstance(cities[0], str)
    assert served.signature.features[3].kind is (models.Kind.TEXT if is_text else models.Kind.NUMBER)
    table = np.array(
        [[*row, city] for row, city in zip(X.tolist(), values, strict=True)],
        dtype=object if is_text else None,
    )
    assert np.array_equal(builders.predict(served, table), model.predict(frame))
    one = table[:1].copy()
    one[0, 3] = "Paris" if is_text else 4
    with pytest.raises(errors.InvalidInput, match=f"row 0, feature 'city'.*{cities[0]}"):
        builders.predict(served, one)
    one = one.astype(object)
    one[0, 3] = None
    missing = frame[:1].assign(city=pd.Categorical([None], categories=frame["city"].cat.categories))
    assert np.array_equal(builders.predict(served, one), model.predict(missing))


def test_categories_that_xgboost_garbles_are_a_warning(tmp_path: Path) -> None:
    frame = FRAME.assign(city=pd.Categorical(["Zürich", "Bern", "Genf"] * 30))
    served = _loaded(xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(frame, Y), tmp_path)
    (note,) = served.warnings
    assert "ASCII" in note


def test_threads_are_those_of_the_limit(tmp_path: Path) -> None:
    xgboost.XGBRegressor(n_estimators=2).fit(X, Y).save_model(tmp_path / "model.ubj")
    served = xgboost_format.load(tmp_path, models.LoadOptions(threads=3))
    assert '"nthread":"3"' in served._booster.save_config()


@pytest.mark.parametrize("name", ["model.ubj", "model.json"])
def test_a_file_of_a_newer_version_is_a_note_or_a_refusal(name: str, tmp_path: Path) -> None:
    served = _loaded(xgboost.XGBRegressor(n_estimators=2).fit(X, Y), tmp_path, name)
    assert served.warnings == ()
    major, minor, patch = (int(number) for number in xgboost.__version__.split(".")[:3])
    written = (tmp_path / name).read_bytes()
    if name == "model.json":
        newer = written.replace(
            f"[{major},{minor},{patch}]".encode(), f"[{major + 1},{minor},{patch}]".encode()
        )
    else:
        newer = written.replace(bytes([105, major, 105, minor]), bytes([105, major + 1, 105, minor]))
    assert newer != written
    (tmp_path / name).write_bytes(newer)
    (note,) = xgboost_format.load(tmp_path).warnings
    assert f"XGBoost {major + 1}.{minor}.{patch}" in note
    with pytest.raises(errors.StartFailure) as caught:
        xgboost_format.load(tmp_path, models.LoadOptions(refuses_other_versions=True))
    assert caught.value.reason is errors.Reason.VERSION_MISMATCH


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    xgboost.XGBRegressor(n_estimators=2).fit(X, Y).save_model(tmp_path / "model.ubj")
    whole = (tmp_path / "model.ubj").read_bytes()
    cases = {
        b"<html>": "is an HTML page",
        b"": "is empty",
        whole[:-50]: "can't be read to its end",
        b"{}": "a JSON file",
    }
    for content, words in cases.items():
        (tmp_path / "model.ubj").write_bytes(content)
        with pytest.raises(errors.StartFailure, match=words) as caught:
            xgboost_format.load(tmp_path)
        assert caught.value.reason is errors.Reason.LOAD_FAILED
