"""Where a fitted estimator's training data lay, as far as the estimator tells: the ranges that the gate's rows cover.

Called by `probes`. It only reads attributes, and guesses wide where there are none.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from modelyard_runtime.formats import sklearn_shortcuts, sklearn_signature

Array = npt.NDArray[Any]
# (centre, scale) as estimators keep them. A scale may be a variance: what matters is its magnitude.
_MOMENTS = (
    ("mean_", "scale_"), ("center_", "scale_"), ("mean_", "var_"), ("data_min_", "data_range_"), ("statistics_", None),
    ("xbar_", None), ("mean_", None), ("max_abs_", None), ("_x_mean", "_x_std"),
)  # fmt: skip
# Tables of points in the input's space.
_POINTS = (
    "support_vectors_",
    "cluster_centers_",
    "theta_",
    "means_",
    "_fit_X",
    "X_train_",
    "quantiles_",
    "centroids_",
)


class Range(msgspec.Struct, frozen=True):
    """Per feature a centre, a scale, and the values at which trees split."""

    centre: Array
    scale: Array
    splits: tuple[Array, ...]


def read(estimator: Any, features: int, names: list[str]) -> Range:
    """Gives the ranges of `features` columns; 0 ± 1 where the estimator does not tell."""
    centre, scale = np.zeros(features), np.ones(features)
    splits: list[list[float]] = [[] for _ in range(features)]
    _learn(estimator, list(range(features)), names, (centre, scale, splits))
    for part in sklearn_shortcuts.parts(estimator):
        tree = getattr(part, "tree_", None)
        if tree is not None and getattr(part, "n_features_in_", None) == features:
            _learn_splits(tree.feature, tree.threshold, splits)
        for column, threshold in _histogram_splits(part, features):
            splits[column].append(threshold)
    for column, values in enumerate(splits):
        if values and centre[column] == 0.0 and scale[column] == 1.0:
            centre[column] = (min(values) + max(values)) / 2
            scale[column] = max((max(values) - min(values)) / 2, abs(centre[column]) * 1e-3, 1e-6)
    return Range(
        np.nan_to_num(centre), np.where(np.isfinite(scale) & (scale > 0), scale, 1.0),
        tuple(np.unique(np.asarray(values, dtype=np.float64)) for values in splits),
    )  # fmt: skip


def _learn(estimator: Any, columns: list[int], names: list[str], found: tuple[Array, Array, Any]) -> None:
    """Reads what the first parts of an estimator keep about the columns they see."""
    step = sklearn_signature.first_step(estimator)
    for _, transformer, chosen in getattr(step, "transformers_", ()):
        if not isinstance(transformer, str):
            inner = [names.index(name) for name in sklearn_signature.column_names(chosen, names)]
            _learn(transformer, inner, names, found)
    centre, scale, _ = found
    for centre_name, scale_name in _MOMENTS:
        values = _numbers(getattr(step, centre_name, None), len(columns))
        if values is None:
            continue
        centre[columns] = values
        widths = _numbers(getattr(step, scale_name, None), len(columns)) if scale_name else None
        scale[columns] = np.maximum(np.abs(values) * 0.1, 1e-6) if widths is None else widths
        return
    for name in _POINTS:
        points = getattr(step, name, None)
        if isinstance(points, np.ndarray) and points.ndim == 2 and points.shape[1] == len(columns):
            centre[columns], scale[columns] = points.mean(axis=0), np.maximum(points.std(axis=0), 1e-6)
            return


def _numbers(values: Any, count: int) -> Array | None:
    array = np.asarray(values) if isinstance(values, np.ndarray | list) else np.empty(0)
    return array.astype(np.float64) if array.shape == (count,) and array.dtype.kind in "fiu" else None


def _learn_splits(features: Array, thresholds: Array, splits: list[list[float]]) -> None:
    for feature, threshold in zip(features.tolist(), thresholds.tolist(), strict=True):
        if feature >= 0:
            splits[feature].append(threshold)


def _histogram_splits(part: Any, features: int) -> list[tuple[int, float]]:
    """Gives the splits of HistGradientBoosting's trees, of XGBoost's and of LightGBM's."""
    found: list[tuple[int, float]] = []
    for iteration in getattr(part, "_predictors", ()):
        for predictor in iteration:
            inner = predictor.nodes[predictor.nodes["is_leaf"] == 0]
            found += zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True)
    if hasattr(part, "get_booster"):
        frame = part.get_booster().trees_to_dataframe()
        inner = frame[frame["Feature"] != "Leaf"]
        columns = {name: index for index, name in enumerate(part.get_booster().feature_names or ())}
        found += [
            (columns.get(name, int(name[1:]) if name[1:].isdigit() else 0), float(split))
            for name, split in zip(inner["Feature"], inner["Split"], strict=True)
        ]
    if hasattr(part, "booster_"):
        frame = part.booster_.trees_to_dataframe()
        inner = frame[frame["split_feature"].notna()]
        columns = {name: index for index, name in enumerate(part.booster_.feature_name())}
        found += [
            (columns[name], float(split))
            for name, split in zip(inner["split_feature"], inner["threshold"], strict=True)
        ]
    return [(column, split) for column, split in found if column < features and np.isfinite(split)]
