"""What a fitted scikit-learn estimator says about its own input.

Called by `formats.sklearn` after loading. It only reads attributes; it must never call predict or change the estimator.
"""

from typing import Any

import numpy as np
import sklearn.utils

from modelyard_runtime.formats import categories, sklearn_boosting
from modelyard_runtime.formats import model as models

# Methods that can answer a request; what an estimator predicts comes before what it makes of its input.
ANSWERS = (models.PREDICTION, "transform")
_ON_REQUEST = (models.PROBABILITY, "decision_function", "transform")


def read(estimator: Any) -> models.Signature:
    """Gives the signature of a fitted estimator."""
    tags = _input_tags(first_step(estimator))
    names = getattr(estimator, "feature_names_in_", None)
    takes_documents = bool(tags.string and not tags.two_d_array and not tags.categorical)
    if takes_documents:
        features: tuple[models.Feature, ...] | None = (models.Feature("text", models.Kind.TEXT),)
    elif names is not None:
        kinds = _column_kinds(estimator, [str(name) for name in names])
        features = tuple(models.Feature(str(name), kind) for name, kind in zip(names, kinds, strict=True))
    elif (count := getattr(estimator, "n_features_in_", None)) is not None:
        step = first_step(estimator)
        kind = _encoder_kind(step) or _default_kind(step)
        kinds = _boosted_kinds(step, int(count)) or [kind] * int(count)
        features = tuple(models.Feature(f"x{index}", kind) for index, kind in enumerate(kinds))
    else:
        features = None
    return models.Signature(
        features=features,
        is_named=names is not None,
        takes_documents=takes_documents,
        allows_missing=_allows_missing(first_step(estimator)),
        outputs=(outputs := _outputs(estimator)),
        on_request=frozenset(output.name for output in outputs[1:]),
        classes=_classes(estimator),
    )


def first_step(estimator: Any) -> Any:
    """Gives the part of an estimator that sees the input first, through pipelines, unions and searches; else itself."""
    seen = estimator
    while (inner := _inner(seen)) is not None:
        seen = inner
    return seen


def _inner(estimator: Any) -> Any:
    """Gives what an estimator hands its input to unchanged, or None when it looks at the input itself."""
    for fitted in ("best_estimator_", "regressor_"):  # searches; TransformedTargetRegressor
        if hasattr(estimator, fitted):
            return getattr(estimator, fitted)
    for parts in ("steps", "transformer_list"):  # Pipeline; FeatureUnion
        for _, part in getattr(estimator, parts, None) or ():
            if part is not None and not isinstance(part, str):
                return part
    # Voting, stacking, calibration …: their template is not fitted, but a pipeline tells whether it takes text.
    templates = [getattr(estimator, "estimator", None), *(part for _, part in _named_parts(estimator))]
    return next((template for template in templates if hasattr(template, "steps")), None)


def _named_parts(estimator: Any) -> list[tuple[str, Any]]:
    """Gives the (name, estimator) pairs of an ensemble; forests have plain lists under the same name with `_`."""
    parts = getattr(estimator, "estimators", None)
    return list(parts) if isinstance(parts, list) else []


def _input_tags(step: Any) -> Any:
    """Gives what an estimator says about its input; one of another library that only has predict says nothing."""
    try:
        return sklearn.utils.get_tags(step).input_tags
    except (AttributeError, TypeError):
        return sklearn.utils.InputTags(string=True, categorical=True, allow_nan=True)


def _allows_missing(step: Any) -> bool:
    """Says whether a missing value can reach a part that takes one; what comes after it may still refuse."""
    transformers = getattr(step, "transformers_", None)
    if transformers is None:
        return bool(_input_tags(step).allow_nan)
    inner = (transformer for _, transformer, _ in transformers if not isinstance(transformer, str))
    return any(_allows_missing(first_step(transformer)) for transformer in inner)


def _default_kind(step: Any) -> models.Kind:
    return models.Kind.ANY if _takes_text(step) else models.Kind.NUMBER


def _encoder_kind(step: Any) -> models.Kind | None:
    """Gives the kind of an encoder's columns: text when it learned text categories."""
    categories = getattr(step, "categories_", None)
    if categories is None:
        return None
    has_text = any(np.asarray(values).dtype.kind in "OU" for values in categories)
    return models.Kind.ANY if has_text else models.Kind.NUMBER


def _column_kinds(estimator: Any, names: list[str]) -> list[models.Kind]:
    """Gives one kind per column, from the transformer that a ColumnTransformer sends it to."""
    step = first_step(estimator)
    # Boosting by histograms encodes the categories of a DataFrame itself.
    step = getattr(step, "_preprocessor", None) or step
    transformers = getattr(step, "transformers_", None)
    if transformers is None:
        known = _encoder_column_kinds(step, len(names)) or _boosted_kinds(step, len(names))
        return known or [_default_kind(step)] * len(names)
    kinds = dict.fromkeys(names, models.Kind.ANY)
    for _, transformer, columns in transformers:
        chosen = column_names(columns, names)
        if isinstance(transformer, str):  # "drop": whatever comes
            continue
        inner = first_step(transformer)
        learned = _encoder_column_kinds(inner, len(chosen))
        numeric = learned is None and not _takes_text(inner)
        for index, name in enumerate(chosen):
            if learned is not None:
                kinds[name] = learned[index]
            elif numeric:
                kinds[name] = models.Kind.NUMBER
    return [kinds[name] for name in names]


def _encoder_column_kinds(step: Any, count: int) -> list[models.Kind] | None:
    learned: Any = getattr(step, "categories_", None)
    if learned is None:
        # An imputer that learned which text to fill in stands before the encoder.
        statistics = getattr(step, "statistics_", None)
        has_text = isinstance(statistics, np.ndarray) and statistics.dtype.kind in "OU"
        learned = np.reshape(np.asarray(statistics), (-1, 1)) if has_text else None
    if learned is None or len(learned) != count:
        return None
    return [_category_kind(np.asarray(values)) for values in learned]


def _boosted_kinds(step: Any, count: int) -> list[models.Kind] | None:
    """Gives the kinds of a boosting library's columns: numbers, but for its own categories."""
    listed = sklearn_boosting.categories_of(step)
    if listed is None:
        return None
    number = models.Kind.NUMBER
    return [categories.kind_of(listed[index]) if index in listed else number for index in range(count)]


def _category_kind(values: np.ndarray[Any, Any]) -> models.Kind:
    if values.dtype.kind == "U":
        return models.Kind.TEXT
    if values.dtype.kind == "O":
        return models.Kind.TEXT if all(isinstance(value, str) for value in values) else models.Kind.ANY
    return models.Kind.NUMBER


def _takes_text(step: Any) -> bool:
    tags = getattr(step, "__sklearn_tags__", None)
    # Foreign; a FunctionTransformer ("passthrough"); a ColumnTransformer's unfitted template: they don't say.
    if tags is None or not getattr(step, "validate", True) or hasattr(step, "transformers"):
        return True
    input_tags = tags().input_tags
    return bool(input_tags.string or input_tags.categorical)


def column_names(columns: Any, names: list[str]) -> list[str]:
    """Gives the names a fitted ColumnTransformer's column selection stands for."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, int | np.integer):
        return [names[columns]]
    if isinstance(columns, slice):
        return names[columns]
    values = np.asarray(columns)
    if values.dtype.kind == "b":
        return [name for name, chosen in zip(names, values, strict=True) if chosen]
    if values.dtype.kind in "iu":
        return [names[index] for index in values]
    return [str(value) for value in values]


def _outputs(estimator: Any) -> tuple[models.TensorSpec, ...]:
    """Gives the outputs before anything was predicted; warm-up replaces types and shapes by what it has seen."""
    classes = getattr(estimator, "classes_", None)
    answer = next(name for name in ANSWERS if hasattr(estimator, name))
    if answer != models.PREDICTION:
        return (models.TensorSpec(answer, "FP64", (-1, -1)),)
    datatype = "FP64"
    shape: tuple[int, ...] = (-1,)
    if isinstance(classes, np.ndarray):
        datatype = models.datatype_of(classes.dtype)
    elif isinstance(classes, list) and classes:  # one array for each target
        datatype, shape = models.datatype_of(np.asarray(classes[0]).dtype), (-1, len(classes))
    width = len(classes) if isinstance(classes, np.ndarray) else -1
    more = (name for name in _ON_REQUEST if hasattr(estimator, name))
    return (
        models.TensorSpec(answer, datatype, shape),
        *(
            models.TensorSpec(name, "FP64", (-1, width if name == models.PROBABILITY else -1))
            for name in more
        ),
    )


def _classes(estimator: Any) -> tuple[models.Scalar, ...] | None:
    """Gives the labels of a classifier of one target."""
    classes = getattr(estimator, "classes_", None)
    return tuple(classes.tolist()) if isinstance(classes, np.ndarray) else None
