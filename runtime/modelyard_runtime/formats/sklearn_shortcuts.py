"""What may be left out of a scikit-learn call without changing its answer.

Called by `formats.sklearn`. A third of a call on one row is scikit-learn looking for NaN, infinity and wrong parameters
at every step of a pipeline, and half of it a DataFrame that only carries names. Each is left out where it is certain to
find nothing: bounded numbers in estimators that keep them bounded, names that were compared once, at load. Nothing
here may ever let a value through that scikit-learn would have refused.
"""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import sklearn

from modelyard_runtime.formats import model as models

# Below it no scaling, product or sum of the estimators below overflows, not even in 32-bit floats.
_BOUND = 1e30
# scikit-learn's own, whose intermediate values are finite when their input is bounded. Not: functions of the user's,
# powers and logarithms, polynomials, kernels over anything but vectors.
_BOUNDED_PACKAGES = frozenset(
    {
        "calibration", "cluster", "compose", "decomposition", "discriminant_analysis", "dummy", "ensemble",
        "feature_selection", "impute", "linear_model", "model_selection", "multiclass", "multioutput", "naive_bayes",
        "neighbors", "neural_network", "pipeline", "preprocessing", "svm", "tree", "utils",
    }
)  # fmt: skip
_UNBOUNDED_CLASSES = frozenset({"FunctionTransformer", "PolynomialFeatures", "PowerTransformer"})
# Libraries whose estimators treat rows one by one and know scikit-learn's conventions.
_KNOWN_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost")
_PROBE_ROWS = 16
_PLAIN = (str, int, float, np.generic, type(None))


class Checks:
    """Switches scikit-learn's checks off for the calling thread where they can find nothing, and on otherwise."""

    def __init__(self, estimator: Any) -> None:
        self._is_bounded = all(_is_bounded(part) for part in parts(estimator))
        self._thread = threading.local()

    def adjust(self, table: models.Table) -> None:
        """Makes the next call on this thread check `table`, unless it needs no check."""
        skip = self._is_bounded and table.dtype.kind == "f" and is_small(table)
        # scikit-learn keeps its settings per thread, and setting them costs more than remembering what they are.
        if getattr(self._thread, "skips", None) is not skip:
            sklearn.set_config(assume_finite=skip, skip_parameter_validation=True)
            self._thread.skips = skip


def is_small(table: models.Table) -> bool:
    """Says whether every number is finite and far from the largest there are; NaN compares as neither."""
    return bool(table.size and table.min() >= -_BOUND and table.max() <= _BOUND)


def parts(estimator: Any) -> Iterator[Any]:
    """Gives an estimator and every estimator within it, once each."""
    waiting, seen = [estimator], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        is_estimator = hasattr(value, "get_params") and not isinstance(value, type)
        if is_estimator:
            yield value
        held: Any = ()
        if isinstance(value, dict):
            held = value.values()
        elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.kind == "O"):
            held = value
        elif hasattr(value, "__dict__") and (is_estimator or _library(value) == "sklearn"):
            held = vars(value).values()
        # A vocabulary has millions of words and numbers: they hold nothing, and remembering them costs memory.
        waiting.extend(one for one in held if not isinstance(one, _PLAIN))


def is_row_wise(estimator: Any) -> bool:
    """Says whether row i of the output can be relied on to depend on row i of the input alone."""
    return all(
        _library(part) in _KNOWN_LIBRARIES and not _has_foreign_function(part) for part in parts(estimator)
    )


def drop_names(estimator: Any, names: list[str], answer: Callable[[Any], Mapping[str, Any]]) -> bool:
    """Takes the feature names out of an estimator that answers the same without them; says whether it did.

    `answer` gives all outputs for a DataFrame or an array. Names matter where columns are chosen by name and where a
    step hands on DataFrames, which a few rows show; to code that is not scikit-learn's they may matter for any value.
    """
    import pandas as pd  # noqa: PLC0415 - half a second that models without names don't pay

    if not is_row_wise(estimator) or any(
        hasattr(part, "_sklearn_output_config") for part in parts(estimator)
    ):
        return False
    probe = np.random.default_rng(0).normal(scale=10.0, size=(_PROBE_ROWS, len(names)))
    probe[0] = 0.0
    kept = [
        (vars(part), vars(part)["feature_names_in_"])
        for part in parts(estimator)
        if "feature_names_in_" in vars(part)
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            named = answer(pd.DataFrame(probe, columns=pd.Index(names)))
            for attributes, _ in kept:
                del attributes["feature_names_in_"]
            # A name that was overlooked is found out by the warning that its part gives.
            warnings.filterwarnings("error", message=".*feature names")
            plain = answer(probe)
    except Exception:
        # Foreign code: whatever it dislikes about the probe, the names then stay.
        plain = {}
    if plain and all(_is_same(named[name], plain[name]) for name in named):
        return True
    for attributes, names_in in kept:
        attributes["feature_names_in_"] = names_in
    return False


def _is_same(one: models.Table, other: models.Table) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _is_bounded(part: Any) -> bool:
    library, _, rest = type(part).__module__.partition(".")
    is_known = library == "sklearn" and rest.partition(".")[0] in _BOUNDED_PACKAGES
    return is_known and type(part).__name__ not in _UNBOUNDED_CLASSES


def _has_foreign_function(part: Any) -> bool:
    """Says whether a FunctionTransformer, or another part, calls what is neither NumPy's own nor scikit-learn's."""
    function = getattr(part, "func", None)
    if function is None or isinstance(function, np.ufunc):  # value by value
        return False
    return _library(getattr(function, "func", function)) != "sklearn"


def _library(value: Any) -> str:
    """Gives the top-level package that a function or a value's class is from."""
    module = getattr(value, "__module__", None) or type(value).__module__
    return str(module).partition(".")[0]
