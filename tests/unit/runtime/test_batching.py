"""Rows predicted together are what they are alone: real estimators, any split of the rows into requests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import (
    datasets,
    ensemble,
    linear_model,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
)
from sklearn import svm as support
from sklearn import tree as trees

from modelyard_runtime import batching
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as adapter

_X, _CLASSES = datasets.load_iris(return_X_y=True)
_TARGET = _X @ [1.0, -2.0, 0.5, 3.0]

# Trees compare and look up; distances to neighbours and sums over a handful of features come out the same in any batch.
EXACT: dict[str, Any] = {
    "a tree": trees.DecisionTreeClassifier(random_state=0),
    "a forest": ensemble.RandomForestClassifier(10, random_state=0),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=5),
    "naive Bayes": naive_bayes.GaussianNB(),
    "a support vector machine": support.SVC(),
}
# A matrix product adds up in another order when it has more rows: BLAS chooses its kernel by the shape. The last bits
# of a probability or of a regression's value may differ; a class does only where two were as good as equal.
IN_THE_LAST_BITS: dict[str, Any] = {
    "a pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()),
    "a network": neural_network.MLPClassifier((8,), max_iter=20, tol=10.0, random_state=0),
    "neighbours": neighbors.KNeighborsClassifier(3),
    "a line": linear_model.LinearRegression(),
}
_FITTED: dict[str, adapter.SklearnModel] = {}


@pytest.fixture(scope="module", params=[*EXACT, *IN_THE_LAST_BITS])
def name(request: pytest.FixtureRequest) -> str:
    """The name of an estimator, fitted."""
    name: str = request.param
    estimator = (EXACT | IN_THE_LAST_BITS)[name]
    is_regressor = name == "a line"
    fitted = estimator.fit(_X, _TARGET if is_regressor else _CLASSES)
    _FITTED[name] = adapter.from_estimator(fitted, name, ())
    return name


def _requests(model: adapter.SklearnModel, rows: Sequence[int], cuts: Sequence[int]) -> list[models.Request]:
    table = _X[list(rows)]
    ends = sorted({cut % len(rows) for cut in cuts} - {0})
    return [models.table_request(part, model.signature.default_outputs) for part in np.split(table, ends)]


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(st.integers(0, len(_X) - 1), min_size=1, max_size=64),
    cuts=st.lists(st.integers(0, 63), max_size=63),
)
def test_rows_predicted_together_are_what_they_are_alone(name: str, rows: list[int], cuts: list[int]) -> None:
    model = _FITTED[name]
    requests = _requests(model, rows, cuts)
    assert len({batching.key(one) for one in requests}) == 1
    together = batching.answer(model, requests)
    for request, answer in zip(requests, together, strict=True):
        alone = model.predict(request.inputs, request.wanted, request.parameters)
        assert not isinstance(answer, Exception)
        assert set(answer) == set(alone)
        for output, expected in alone.items():
            assert (answer[output].dtype, answer[output].shape) == (expected.dtype, expected.shape)
            if name in EXACT or expected.dtype.kind != "f":
                np.testing.assert_array_equal(answer[output], expected)
            else:
                np.testing.assert_allclose(answer[output], expected, rtol=1e-12, atol=1e-14)
