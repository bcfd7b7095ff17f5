"""LightGBM files answer as the Booster in them does, bit for bit."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from modelyard_runtime import errors
from modelyard_runtime.formats import lightgbm as lightgbm_format
from modelyard_runtime.formats import model as models
from tests.unit.runtime import builders

GENERATOR = np.random.default_rng(13)
X = GENERATOR.normal(size=(90, 3))
Y = np.arange(90) % 3
MISSING = np.where(GENERATOR.random(X.shape) < 0.2, np.nan, X)
FRAME = pd.DataFrame(X, columns=["age", "income", "height"])
QUIET: dict[str, Any] = {"verbose": -1, "min_child_samples": 2, "n_estimators": 3, "num_threads": 1}


def _loaded(booster: lightgbm.Booster, folder: Path) -> lightgbm_format.LightGBMModel:
    booster.save_model(folder / "model.txt")
    return lightgbm_format.load(folder)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (lightgbm.LGBMRegressor(**QUIET), Y),
        (lightgbm.LGBMRegressor(objective="poisson", **QUIET), Y),
        (lightgbm.LGBMClassifier(**QUIET), Y == 1),
        (lightgbm.LGBMClassifier(**QUIET), Y),
    ],
    ids=["numbers", "counts", "two classes", "three classes"],
)
def test_the_answer_is_the_boosters(estimator: Any, target: Any, tmp_path: Path) -> None:
    booster = estimator.fit(X, target).booster_
    served = _loaded(booster, tmp_path)
    expected = booster.predict(MISSING)
    answer = builders.predict(served, MISSING)
    assert (answer.dtype, answer.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(answer, expected)
    assert not served.signature.is_named
    features = [(one.name, one.kind) for one in served.signature.features or ()]
    assert features == [(f"x{n}", models.Kind.NUMBER) for n in range(3)]
    if not hasattr(estimator, "predict_proba"):
        assert served.signature.on_request == frozenset()
        return
    assert served.signature.classes == tuple(range(len(set(target.tolist()))))
    assert np.array_equal(
        builders.predict(served, MISSING, models.PROBABILITY), estimator.predict_proba(MISSING)
    )


@pytest.mark.parametrize("cities", [["Oslo", "Rome", "Bern, Nørrebro"], [3, 7, 9]], ids=["text", "numbers"])
def test_categories_arrive_as_they_were_named(cities: list[Any], tmp_path: Path) -> None:
    values = [cities[label] for label in Y]
    frame = FRAME.assign(city=pd.Categorical(values))
    estimator = lightgbm.LGBMRegressor(**QUIET).fit(frame, Y * 10.0 + X[:, 0])
    served = _loaded(estimator.booster_, tmp_path)
    is_text = isinstance(cities[0], str)
    kind = models.Kind.TEXT if is_text else models.Kind.NUMBER
    assert [feature.name for feature in served.signature.features or ()] == [*FRAME.columns, "city"]
    assert served.signature.features is not None
    assert served.signature.features[3].kind is kind
    rows = [[*row, city] for row, city in zip(X.tolist(), values, strict=True)]
    table = np.array(rows, dtype=object if is_text else None)
    assert np.array_equal(builders.predict(served, table), estimator.predict(frame))
    odd = table[:2].astype(object)
    odd[:, 3] = "Paris" if is_text else 4, None
    unknown = frame[:2].assign(city=pd.Categorical([None, None], categories=frame["city"].cat.categories))
    assert np.array_equal(builders.predict(served, odd), estimator.predict(unknown))


def test_categories_that_were_numbers_from_the_start_stay_them(tmp_path: Path) -> None:
    data = np.column_stack([X, Y + 5])
    booster = lightgbm.train(QUIET, lightgbm.Dataset(data, Y * 10.0, categorical_feature=[3]))
    assert np.array_equal(builders.predict(_loaded(booster, tmp_path), data), booster.predict(data))


def test_what_does_not_fit_is_the_callers_fault(tmp_path: Path) -> None:
    served = _loaded(lightgbm.LGBMRegressor(**QUIET).fit(FRAME, Y).booster_, tmp_path)
    with pytest.raises(errors.InvalidInput, match="number of features"):
        builders.predict(served, X[:, :2])
    with pytest.raises(errors.InvalidInput, match="row 1, feature 'income' is text"):
        builders.predict(served, np.array([[1, 2, 3], [1, "x", 3]], dtype=object))


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    lightgbm.LGBMRegressor(**QUIET).fit(X, Y).booster_.save_model(tmp_path / "model.txt")
    whole = (tmp_path / "model.txt").read_bytes()
    cases = {
        b"<html>": "is an HTML page",
        b"a,b\n1,2\n": "is a text file",
        whole[: len(whole) // 2]: "cut off",
    }
    for content, words in cases.items():
        (tmp_path / "model.txt").write_bytes(content)
        with pytest.raises(errors.StartFailure, match=words) as caught:
            lightgbm_format.load(tmp_path)
        assert caught.value.reason is errors.Reason.LOAD_FAILED
