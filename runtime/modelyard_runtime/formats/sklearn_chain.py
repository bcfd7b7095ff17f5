"""The arithmetic of fitted scikit-learn estimators without what surrounds it: the same operations on the same numbers.

Called by `formats.sklearn`. On one row a pipeline of a scaler and a linear model computes for ten microseconds and
spends four hundred on looking at its input again at every step; a forest spends eight milliseconds on handing its trees
to a pool of one thread. Here each step is one function over its fitted attributes, for the classes listed below and no
others, and only once it has given the estimator's own answers to the bit. Everything else (subclasses, other outputs,
values that need a check) is the estimator's to answer. Nothing here may ever give an answer that it would not.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special  # type: ignore[import-untyped]
from sklearn.utils import extmath

from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn_shortcuts

Step = Callable[[models.Table], models.Table]
# How many rows have to be answered alike: one, whose layout is its own, and some. A slow forest is asked each time.
_PROBE_ROWS = (1, 16)
_TRANSFORM = "transform"
_LOGISTIC = ("linear_model.LogisticRegression", "linear_model.LogisticRegressionCV")
_TREE_CLASSIFIERS = ("tree.DecisionTreeClassifier", "tree.ExtraTreeClassifier")
_TREE_REGRESSORS = ("tree.DecisionTreeRegressor", "tree.ExtraTreeRegressor")
_FOREST_CLASSIFIERS = ("ensemble.RandomForestClassifier", "ensemble.ExtraTreesClassifier")
_FOREST_REGRESSORS = ("ensemble.RandomForestRegressor", "ensemble.ExtraTreesRegressor")


class Chain:
    """What gives an estimator's outputs, by their names, for tables that `takes` lets pass."""

    def __init__(self, width: int, outputs: Mapping[str, Step]) -> None:
        self._width = width
        self._outputs = outputs
        self.names = frozenset(outputs)

    def takes(self, table: models.Table) -> bool:
        """Says whether there is nothing in the table that the estimator would look for."""
        # The layout decides in which order products are added up, and the estimator would keep it.
        return (
            table.dtype == np.float64
            and table.ndim == 2
            and table.shape[1] == self._width
            and table.flags.c_contiguous
            and table.flags.aligned
            and sklearn_shortcuts.is_small(table)
        )

    def answer(self, name: str, table: models.Table) -> models.Table:
        """Gives one output."""
        return self._outputs[name](table)


def build(estimator: Any, names: frozenset[str]) -> Chain | None:
    """Gives the chain for those of the outputs that it was proven for; None when there is none.

    The estimator must take arrays: one that wants a DataFrame answers itself.
    """
    try:
        width = int(estimator.n_features_in_)
        outputs = {name: step for name in names if (step := _output(estimator, name)) is not None}
        proven = {
            name: step for name, step in outputs.items() if _is_proven(getattr(estimator, name), step, width)
        }
    except Exception:
        # Fitted attributes come out of a file, and from any version: whatever is odd about them, the estimator answers.
        return None
    return Chain(width, proven) if proven else None


def _is_proven(method: Step, step: Step, width: int) -> bool:
    """Says whether a step answers probes as the estimator's method does, to the bit."""
    random = np.random.default_rng(0)
    for rows in _PROBE_ROWS:
        table = random.normal(size=(rows, width)) * random.choice([1.0, 1000.0], size=(rows, 1))
        expected, found = method(table), step(table)
        if expected.dtype != found.dtype or not np.array_equal(expected, found):
            return False
    return True


def _kind(estimator: Any) -> str:
    """Gives an estimator's class by the package of scikit-learn's that it is from; empty for anybody else's."""
    library, _, rest = type(estimator).__module__.partition(".")
    return f"{rest.partition('.')[0]}.{type(estimator).__qualname__}" if library == "sklearn" else ""


def _output(estimator: Any, name: str) -> Step | None:
    """Gives what computes an output of the estimator; None for what is not known here."""
    if name in vars(estimator) or "_sklearn_output_config" in vars(estimator):
        return None  # an attribute in place of a method, or answers that are no arrays
    make = _MAKERS.get(_kind(estimator))
    return None if make is None else make(estimator, name)


def _search(estimator: Any, name: str) -> Step | None:
    return _output(estimator.best_estimator_, name)


def _pipeline(estimator: Any, name: str) -> Step | None:
    steps: list[Step] = []
    *first, last = [part for _, part in estimator.steps]
    for part, wanted in [*((part, _TRANSFORM) for part in first), (last, name)]:
        if part is None or (isinstance(part, str) and part == "passthrough"):
            if part is last:
                return None
            continue
        step = _output(part, wanted)
        if step is None:
            return None
        steps.append(step)
    if len(steps) == 1:
        return steps[0]

    def run(table: models.Table) -> models.Table:
        for step in steps:
            table = step(table)
        return table

    return run


def _standard_scaler(estimator: Any, name: str) -> Step | None:
    centre = estimator.mean_ if estimator.with_mean else None
    return _scaler(name, centre, estimator.scale_ if estimator.with_std else None)


def _robust_scaler(estimator: Any, name: str) -> Step | None:
    centre = estimator.center_ if estimator.with_centering else None
    return _scaler(name, centre, estimator.scale_ if estimator.with_scaling else None)


def _max_abs_scaler(estimator: Any, name: str) -> Step | None:
    return None if estimator.clip else _scaler(name, None, estimator.scale_)


def _min_max_scaler(estimator: Any, name: str) -> Step | None:
    if estimator.clip or name != _TRANSFORM:
        return None
    factor, summand = _floats(estimator.scale_), _floats(estimator.min_)

    def scale(table: models.Table) -> models.Table:
        scaled = table * factor
        scaled += summand
        return scaled

    return scale


def _imputer(estimator: Any, name: str) -> Step | None:
    return np.copy if name == _TRANSFORM and _has_nothing_to_do(estimator) else None


def _has_nothing_to_do(estimator: Any) -> bool:
    """Says whether an imputer leaves a table as it is that has no missing values."""
    is_usual = isinstance(estimator.missing_values, float) and np.isnan(estimator.missing_values)
    return is_usual and not estimator.add_indicator and not np.isnan(_floats(estimator.statistics_)).any()


def _scaler(name: str, centre: Any, scale: Any) -> Step | None:
    if name != _TRANSFORM:
        return None
    centre = None if centre is None else _floats(centre)
    scale = None if scale is None else _floats(scale)

    def run(table: models.Table) -> models.Table:
        scaled = table.copy() if centre is None else table - centre
        if scale is not None:
            scaled /= scale
        return scaled

    return run


def _linear(estimator: Any, name: str) -> Step | None:
    if name != models.PREDICTION:
        return None
    coefficients, intercept = _array(estimator.coef_), estimator.intercept_
    if coefficients.ndim > 1:
        coefficients = coefficients.T
    return lambda table: table @ coefficients + intercept


def _scored(estimator: Any, name: str) -> Step | None:
    coefficients, intercept, classes = (
        _array(estimator.coef_).T,
        estimator.intercept_,
        _array(estimator.classes_),
    )
    is_binary = coefficients.shape[1] == 1

    def decide(table: models.Table) -> models.Table:
        scores: models.Table = table @ coefficients + intercept
        return scores.reshape(-1) if is_binary else scores

    def two(table: models.Table) -> models.Table:
        second = decide(table)
        special.expit(second, out=second)
        return np.stack([1 - second, second], axis=1)

    if name == "decision_function":
        return decide
    if name == models.PREDICTION:
        if is_binary:
            return lambda table: classes.take((decide(table) > 0).astype(np.intp), axis=0)
        return lambda table: classes.take(decide(table).argmax(axis=1), axis=0)
    if name == models.PROBABILITY and _kind(estimator) in _LOGISTIC:
        return two if is_binary else lambda table: np.asarray(extmath.softmax(decide(table), copy=False))
    return None


def _tree(estimator: Any, name: str) -> Step | None:
    if estimator.n_outputs_ != 1:
        return None
    values = estimator.tree_.predict
    if _kind(estimator) in _TREE_REGRESSORS:
        return (lambda table: values(_single(table))[:, 0]) if name == models.PREDICTION else None
    classes, count = _array(estimator.classes_), int(estimator.n_classes_)
    if name == models.PROBABILITY:
        return lambda table: values(_single(table))[:, :count]
    if name == models.PREDICTION:
        return lambda table: classes.take(values(_single(table)).argmax(axis=1), axis=0)
    return None


def _forest(estimator: Any, name: str) -> Step | None:
    # Several threads add up in the order in which they finish; on many rows they are what is faster.
    if estimator.n_jobs not in (None, 1) or estimator.verbose or estimator.n_outputs_ != 1:
        return None
    members = estimator.estimators_
    if any(_kind(member) not in (*_TREE_CLASSIFIERS, *_TREE_REGRESSORS) for member in members):
        return None
    predictions = [member.tree_.predict for member in members]
    is_classifier = _kind(estimator) in _FOREST_CLASSIFIERS
    width = int(estimator.n_classes_) if is_classifier else 1

    def mean(table: models.Table) -> models.Table:
        single = _single(table)
        total = np.zeros((table.shape[0], width))
        for predict in predictions:
            total += predict(single)
        total /= len(predictions)
        return total

    if not is_classifier:
        return (lambda table: mean(table)[:, 0]) if name == models.PREDICTION else None
    classes = _array(estimator.classes_)
    if name == models.PROBABILITY:
        return mean
    return (
        (lambda table: classes.take(mean(table).argmax(axis=1), axis=0))
        if name == models.PREDICTION
        else None
    )


def _single(table: models.Table) -> models.Table:
    return table.astype(np.float32)


def _floats(value: Any) -> models.Table:
    found = _array(value)
    if found.dtype != np.float64:
        raise TypeError(f"fitted on {found.dtype}")
    return found


def _array(value: Any) -> models.Table:
    """Gives a fitted attribute that is a plain array; raises `TypeError` for a sparse one, or several."""
    if type(value) is not np.ndarray:
        raise TypeError(f"no array but {type(value).__name__}")
    return value


_Maker = Callable[[Any, str], Step | None]
# By package and name, not by class: importing all of them would cost a model that has one of them half a second.
_MAKERS: dict[str, _Maker] = {
    "pipeline.Pipeline": _pipeline,
    "model_selection.GridSearchCV": _search,
    "model_selection.RandomizedSearchCV": _search,
    "preprocessing.StandardScaler": _standard_scaler,
    "preprocessing.RobustScaler": _robust_scaler,
    "preprocessing.MaxAbsScaler": _max_abs_scaler,
    "preprocessing.MinMaxScaler": _min_max_scaler,
    "impute.SimpleImputer": _imputer,
    "svm.LinearSVC": _scored,
    "svm.LinearSVR": _linear,
    **{f"linear_model.{name}": _scored for name in ("SGDClassifier", "Perceptron")},
    **{
        f"linear_model.{name}": _linear
        for name in ("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV")
    },
    **dict.fromkeys(_LOGISTIC, _scored),
    **dict.fromkeys(_TREE_CLASSIFIERS + _TREE_REGRESSORS, _tree),
    **dict.fromkeys(_FOREST_CLASSIFIERS + _FOREST_REGRESSORS, _forest),
}
