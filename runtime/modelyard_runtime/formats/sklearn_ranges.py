"""Between which values a fitted estimator's training data lay, where it has kept that.

Called by `formats.sklearn`; `drift` counts what lies outside. It must never guess: means, variances, quantiles of a
sample and the values at which trees split say nothing about the ends, so a feature of such an estimator has none.
"""

import math
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn_boosting, sklearn_signature

Ends = tuple[float | None, float | None]
_NONE: Ends = (None, None)
# Estimators that keep their training data whole: neighbours, kernels.
_KEPT_ROWS = ("_fit_X", "X_train_", "X_fit_")


def complete(signature: models.Signature, estimator: Any) -> models.Signature:
    """Gives the signature with the ends of its features."""
    if not signature.features or signature.takes_documents:
        return signature
    names = [feature.name for feature in signature.features]
    ends = _ends(estimator, names)
    features = tuple(
        feature if (low, high) == _NONE else msgspec.structs.replace(feature, low=low, high=high)
        for feature, (low, high) in zip(signature.features, ends, strict=True)
    )
    return msgspec.structs.replace(signature, features=features)


def _ends(estimator: Any, names: list[str]) -> list[Ends]:
    """Gives the ends of the columns `names` that an estimator sees."""
    step = sklearn_signature.first_step(estimator)
    transformers = getattr(step, "transformers_", None)
    if transformers is None:
        return _own(step, len(names)) or [_NONE] * len(names)
    found = dict.fromkeys(names, _NONE)
    for _, transformer, columns in transformers:
        if isinstance(transformer, str):
            continue
        chosen = sklearn_signature.column_names(columns, names)
        for name, ends in zip(chosen, _ends(transformer, chosen), strict=True):
            found[name] = ends if ends != _NONE else found[name]
    return [found[name] for name in names]


def _own(step: Any, count: int) -> list[Ends] | None:
    """Gives what the estimator itself has kept of its input."""
    if hasattr(step, "data_min_") and hasattr(step, "data_max_"):  # MinMaxScaler
        return _paired(step.data_min_, step.data_max_, count)
    if hasattr(step, "max_abs_"):  # MaxAbsScaler
        return _paired(-step.max_abs_, step.max_abs_, count)
    for name in _KEPT_ROWS:
        rows = getattr(step, name, None)
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) and rows.dtype.kind in "fiu":
            # Not nanmin, which warns of a column without a number.
            missing = np.isnan(rows) if rows.dtype.kind == "f" else False
            low = np.where(missing, np.inf, rows).min(axis=0)
            return _paired(low, np.where(missing, -np.inf, rows).max(axis=0), count)
    return sklearn_boosting.ends_of(step)


def _paired(low: Any, high: Any, count: int) -> list[Ends] | None:
    if not all(isinstance(one, np.ndarray) and one.shape == (count,) for one in (low, high)):
        return None
    return [
        (float(one), float(other)) if math.isfinite(one) and math.isfinite(other) else _NONE
        for one, other in zip(low, high, strict=True)
    ]
