"""The figures of what callers send: those of NumPy over everything seen, in whatever pieces it came."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np

from modelyard_runtime import drift
from modelyard_runtime.formats import model as models
from tests.unit.runtime import builders

NUMBER = models.Kind.NUMBER


class Clock:
    """Goes on by itself, so that every table is looked at, unless told to stand."""

    now, step = 0.0, 1.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


_VALUES = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6))
_TABLES = st.lists(st.lists(st.tuples(_VALUES, _VALUES), min_size=1, max_size=9), min_size=1, max_size=5)


@hypothesis.given(_TABLES)
@hypothesis.settings(max_examples=50, deadline=None)
def test_the_figures_do_not_depend_on_the_pieces(tables: list[list[tuple[float, float]]]) -> None:
    watched = drift.Drift(builders.numbers(2), Clock())
    for table in tables:
        watched.observe(np.array(table))
    whole = np.concatenate([np.array(table) for table in tables])
    for index, figures in enumerate(watched.figures()):
        column = whole[:, index]
        numbers = column[~np.isnan(column)]
        assert figures.feature == f"x{index}"
        assert (figures.rows, figures.missing) == (len(column), len(column) - len(numbers))
        if len(numbers):
            assert math.isclose(figures.mean, numbers.mean(), rel_tol=1e-9, abs_tol=1e-6)
            assert math.isclose(figures.variance, numbers.var(), rel_tol=1e-6, abs_tol=1e-3)
        else:
            assert math.isnan(figures.mean)


def test_a_variance_survives_a_large_mean() -> None:
    watched = drift.Drift(builders.numbers(1), Clock())
    values = 1e9 + np.arange(1000.0)
    for value in np.split(values, 100):
        watched.observe(value.reshape(-1, 1))
    (figures,) = watched.figures()
    assert math.isclose(figures.variance, np.arange(1000.0).var(), rel_tol=1e-9)


def test_values_outside_the_training_data_are_counted() -> None:
    age = models.Feature("age", NUMBER, low=0.0, high=120.0)
    watched = drift.Drift(models.Signature(features=(age,), is_named=True), Clock())
    watched.observe(np.array([[-1.0], [0.0], [120.0], [121.0], [math.nan]]))
    (figures,) = watched.figures()
    assert (figures.out_of_range, figures.missing) == (2, 1)


def test_text_is_counted_and_numbers_beside_it_are_measured() -> None:
    watched = drift.Drift(builders.PEOPLE, Clock())
    watched.observe(np.array([[30, "Oslo"], [50, None], [None, "Rome"]], dtype=object))
    age, city = watched.figures()
    assert (age.rows, age.missing, age.mean, age.variance) == (3, 1, 40.0, 100.0)
    assert (city.rows, city.missing) == (3, 1)
    assert (age.out_of_range, city.out_of_range) == (None, None)
    assert math.isnan(city.mean)


def test_it_looks_at_one_table_in_a_while() -> None:
    clock = Clock()
    watched = drift.Drift(builders.numbers(1), clock)
    clock.step = 0.005
    for _ in range(100):
        watched.observe(np.array([[1.0]]))
    (figures,) = watched.figures()
    assert 9 <= figures.rows <= 11


def test_models_without_a_table_are_left_alone() -> None:
    tensors = models.Signature(inputs=(models.TensorSpec("x", "FP32", (-1,)),))
    for signature in (builders.DOCUMENTS, models.Signature(), tensors):
        watched = drift.Drift(signature, Clock())
        watched.observe(np.array(["text"], dtype=object))
        assert list(watched.figures()) == []


def test_what_is_served_is_watched() -> None:
    guarded, _ = builders.served(builders.FakeModel(builders.numbers(2)))
    builders.post_json(guarded, "/predict", b'{"X": [[1, 2], [3, 4]]}')
    shown = builders.request(guarded, "GET", "/metrics").text
    assert 'modelyard_feature_rows{feature="x0"} 2.0' in shown
    assert 'modelyard_feature_mean{feature="x1"} 3.0' in shown
