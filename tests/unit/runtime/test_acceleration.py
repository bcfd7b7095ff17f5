"""An engine answers as the original does, for every kind of model and input, or it does not serve."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import pytest
import xgboost
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVR

from modelyard_runtime import errors
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import folder, onnx_operators, preparation, tree_conversion
from modelyard_runtime.acceleration import model as prepared
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format
from tests.support import estimators as kinds

# Far outside of the training data the original overflows as it likes.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

IDENTITY = descriptions.Description(
    version="1",
    digest="sha256:0",
    format="mlflow",
    platform="sklearn",
    acceleration=descriptions.Acceleration("scikit-learn", ""),
)
RANDOM = np.random.default_rng(99)


class Case:
    """An original and what `prepare` made of it."""

    def __init__(self, estimator: Any, place: Path, samples: tuple[models.Request, ...] = ()) -> None:
        self.original = sklearn_format.from_estimator(estimator, "model.joblib", ())
        target = folder.Folder(place)
        target.begin()
        found = preparation.prepare(self.original, samples, IDENTITY, target.clear)
        target.commit(found)
        read = descriptions.decode((target.path / descriptions.FILE_NAME).read_bytes())
        assert read is not None
        assert read == found
        self.said = read.acceleration
        self.loads = 0
        self._place, self._described = target.path, read

    def engine(self) -> prepared.PreparedModel:
        assert self._described.plan is not None, self.said.reason
        return prepared.PreparedModel(self._described, self._place, self._load, threads=1)

    def _load(self) -> models.Model:
        self.loads += 1
        return self.original

    def compare(self, engine: models.Model, table: models.Table) -> None:
        """Both answer the same, or refuse in the same words."""
        for wanted in (frozenset({one.name}) for one in self.original.signature.outputs):
            assert _outcome(engine, table, wanted) == _outcome(self.original, table, wanted)


class _Near(list[Any]):
    """Nested numbers and labels: equal when labels are and numbers nearly are."""

    def __eq__(self, other: object) -> bool:
        one, two = np.array(list(self)), np.array(list(other))  # type: ignore[call-overload]
        if one.dtype.kind != "f":
            return bool(one.shape == two.shape and (one == two).all())
        return one.shape == two.shape and np.allclose(one, two, rtol=1e-6, atol=1e-12, equal_nan=True)

    __hash__ = None


def _outcome(model: models.Model, table: models.Table, wanted: frozenset[str]) -> Any:
    try:
        (array,) = model.predict({models.TABLE: table}, wanted, models.NO_PARAMETERS).values()
    except errors.RequestError as error:
        return type(error), error.message
    return array.dtype, array.shape, _Near(array.tolist())


def _rows(count: int = 300) -> models.Table:
    """Rows around the training data, and some far from it."""
    near = kinds.X[RANDOM.integers(0, kinds.ROWS, count)]
    table: models.Table = near + RANDOM.normal(size=near.shape) * RANDOM.choice(
        [0.01, 1.0, 100.0], (count, 1)
    )
    return table


NUMERIC = {
    **{f"classes: {name}": (make, kinds.CLASSES) for name, make in kinds.CLASSIFIERS.items()},
    **{f"values: {name}": (make, kinds.VALUES) for name, make in kinds.REGRESSORS.items()},
}


@pytest.mark.parametrize("case", NUMERIC)
def test_an_engine_answers_as_the_original(case: str, tmp_path: Path) -> None:
    make, target = NUMERIC[case]
    compared = Case(make().fit(kinds.X, target), tmp_path)
    engine = compared.engine()
    assert engine.engine == compared.said.engine != "scikit-learn"
    assert engine.format == compared.original.format
    assert compared.said.checked_rows > 500
    name = compared.original.signature.outputs[0].name
    assert "equal to scikit-learn" in compared.said.reason
    for table in (_rows(), _rows(1), np.zeros((2, 5), dtype=np.int64)):
        compared.compare(engine, table)
    # The original would compute some of the steps in 32 bits.
    halved = _rows(7).astype(np.float32)
    answer = engine.predict({models.TABLE: halved}, frozenset({name}), models.NO_PARAMETERS)
    compared.compare(engine, halved.astype(np.float64))
    assert answer[name].dtype == np.dtype(
        compared.original.predict(
            {models.TABLE: halved.astype(np.float64)}, frozenset({name}), models.NO_PARAMETERS
        )[name].dtype
    )


@pytest.mark.parametrize(
    "labels", [kinds.LABELS, kinds.LABELS.astype(object), kinds.CLASSES * 10, kinds.CLASSES > 0]
)
@pytest.mark.parametrize(
    "kind", ["scaler and regression", "random forest", "scaler and forest", "gradient boosting"]
)
def test_labels_keep_their_type(kind: str, labels: Any, tmp_path: Path) -> None:
    compared = Case(kinds.CLASSIFIERS[kind]().fit(kinds.X, labels), tmp_path)
    if compared.said.engine == "scikit-learn":  # a kind of label that a converter has no form for
        assert labels.dtype.kind == "b"
        return
    compared.compare(compared.engine(), _rows(50))


@pytest.mark.parametrize("case", kinds.MIXED)
def test_numbers_among_text(case: str, tmp_path: Path) -> None:
    compared = Case(kinds.MIXED[case]().fit(kinds.PEOPLE, kinds.LABELS), tmp_path)
    engine = compared.engine()
    table = kinds.PEOPLE.to_numpy(dtype=object)[:60]
    compared.compare(engine, table)
    assert compared.loads == 0
    for column, value in (
        (2, "Bergen"),
        (2, None),
        (3, ""),
        (0, math.nan),
        (1, math.inf),
        (0, 1e300),
        (2, 7.0),
    ):
        odd = table[:3].copy()
        odd[1, column] = value
        compared.compare(engine, odd)


@pytest.mark.parametrize("kind", ["scaler and regression", "imputer, scaler, regression", "random forest",
                                  "histogram boosting"])  # fmt: skip
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 3.5e38])
def test_what_no_engine_was_proven_on_is_answered_or_refused_as_the_original_does(
    kind: str, value: float, tmp_path: Path
) -> None:
    compared = Case(kinds.CLASSIFIERS[kind]().fit(kinds.X, kinds.CLASSES), tmp_path)
    table = _rows(3)
    table[1, 2] = value
    compared.compare(compared.engine(), table)
    table[0, 3] = math.inf
    compared.compare(compared.engine(), table)


def test_the_original_is_not_loaded_for_what_is_usual(tmp_path: Path) -> None:
    compared = Case(kinds.CLASSIFIERS["scaler and regression"]().fit(kinds.X, kinds.CLASSES), tmp_path)
    engine = compared.engine()
    for output in compared.original.signature.outputs:
        engine.predict({models.TABLE: _rows(2)}, frozenset({output.name}), models.NO_PARAMETERS)
    with pytest.raises(errors.InvalidInput, match="is missing"):
        engine.predict({models.TABLE: np.full((1, 5), np.nan)}, frozenset({"predict"}), models.NO_PARAMETERS)
    assert compared.loads == 0


BOOSTED: dict[str, tuple[Callable[[], Any], Any]] = {
    "XGBoost classes": (lambda: xgboost.XGBClassifier(n_estimators=6), kinds.CLASSES),
    "XGBoost values": (lambda: xgboost.XGBRegressor(n_estimators=6), kinds.VALUES),
    "LightGBM classes": (lambda: lightgbm.LGBMClassifier(n_estimators=6, verbose=-1), kinds.CLASSES),
    "LightGBM values": (lambda: lightgbm.LGBMRegressor(n_estimators=6, verbose=-1), kinds.VALUES),
}


@pytest.mark.parametrize("case", BOOSTED)
def test_boosting_of_other_libraries_in_a_pipeline(case: str, tmp_path: Path) -> None:
    make, target = BOOSTED[case]
    compared = Case(kinds.pipe(kinds.prep.StandardScaler(), make()).fit(kinds.X, target), tmp_path)
    assert compared.said.engine == "onnxruntime+treelite", compared.said.reason
    answer = compared.engine().predict({models.TABLE: kinds.X}, frozenset({"predict"}), models.NO_PARAMETERS)
    expected = compared.original.predict(
        {models.TABLE: kinds.X}, frozenset({"predict"}), models.NO_PARAMETERS
    )
    assert answer["predict"].dtype == expected["predict"].dtype
    assert np.allclose(answer["predict"], expected["predict"], rtol=1e-5, atol=1e-6)


def test_an_engine_that_rounds_large_numbers_is_refused(tmp_path: Path) -> None:
    # Distances between large numbers, as products of matrices, cancel even in 64 bits.
    identifiers = kinds.X * 50 + 1.7e9
    estimator = SVR(gamma=1e-4).fit(identifiers, kinds.VALUES)
    assert "gate refused it: predict differs" in Case(estimator, tmp_path / "vectors").said.reason
    # Powers have a form in 32 bits only, where identifiers above 2^24 fall together.
    powers = kinds.pipe(kinds.prep.PolynomialFeatures(), kinds.linear.Ridge()).fit(kinds.X, kinds.VALUES)
    said = Case(powers, tmp_path / "powers").said
    assert said.engine == "scikit-learn"
    assert "float32: the gate refused it" in said.reason


def test_an_engine_that_is_not_faster_is_refused_and_so_is_an_unknown_kind(tmp_path: Path) -> None:
    neighbours = Case(KNeighborsClassifier().fit(kinds.X, kinds.CLASSES), tmp_path / "a")
    assert neighbours.said.engine == "scikit-learn"
    assert neighbours.said.reason


def test_a_wrong_converter_of_linear_models_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = kinds.CLASSIFIERS["ridge classifier"]().fit(kinds.X, kinds.CLASSES)
    assert Case(estimator, tmp_path / "right").said.engine == "onnxruntime"
    right = onnx_operators._convert_linear_classifier

    def wrong(scope: Any, operator: Any, container: Any) -> None:
        intercept = operator.raw_operator.intercept_
        operator.raw_operator.intercept_ = intercept + 1e-5
        right(scope, operator, container)
        operator.raw_operator.intercept_ = intercept

    monkeypatch.setattr(onnx_operators, "_convert_linear_classifier", wrong)
    said = Case(estimator, tmp_path / "wrong").said
    assert said.engine == "scikit-learn"
    assert "the gate refused it" in said.reason


def test_trees_that_look_at_unrounded_numbers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = kinds.CLASSIFIERS["random forest"]().fit(kinds.X, kinds.CLASSES)
    right = tree_conversion.convert
    monkeypatch.setattr(
        tree_conversion, "convert", lambda *given: msgspec.structs.replace(right(*given), rounds=False)
    )
    assert "the gate refused it" in Case(estimator, tmp_path).said.reason


def test_a_sample_on_which_the_engine_differs_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator = kinds.REGRESSORS["ridge"]().fit(kinds.X, kinds.VALUES)
    sample = models.table_request(np.full((1, 5), 0.123), frozenset({"predict"}))
    finished = prepared.PreparedModel._finished

    def wrong_there(self: Any, name: str, found: Any, rows: int) -> Any:
        array = finished(self, name, found, rows)
        return array + 1 if rows == 1 and abs(array[0] - expected) < 1e-9 else array

    expected = estimator.predict(np.full((1, 5), 0.123))[0]
    monkeypatch.setattr(prepared.PreparedModel, "_finished", wrong_there)
    assert "on a sample" in Case(estimator, tmp_path, (sample,)).said.reason


def test_an_engine_that_raises_is_a_failed_request(tmp_path: Path) -> None:
    compared = Case(kinds.REGRESSORS["ridge"]().fit(kinds.X, kinds.VALUES), tmp_path)
    with contextlib.suppress(errors.InvalidInput), pytest.raises(errors.ModelFailed):
        compared.engine().predict(
            {models.TABLE: np.zeros((1, 4))}, frozenset({"predict"}), models.NO_PARAMETERS
        )
