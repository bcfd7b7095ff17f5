"""The categories inside pickled XGBoost and LightGBM estimators, which scikit-learn's conventions say nothing about.

Called by `formats.sklearn_signature` for the kinds of features and by `formats.sklearn` for the DataFrame that such an
estimator wants back. It only reads; it imports a library only for an estimator of that library.
"""

from typing import Any

from modelyard_runtime.formats import categories


def categories_of(estimator: Any) -> categories.Categories | None:
    """Gives the categories by feature of a boosting library's estimator; None for an estimator of any other."""
    library = type(estimator).__module__.partition(".")[0]
    if library == "xgboost" and hasattr(estimator, "get_booster"):
        from modelyard_runtime.formats import xgboost  # noqa: PLC0415 - the pickle has imported it already

        return xgboost.read_categories(estimator.get_booster())
    if library == "lightgbm" and hasattr(estimator, "booster_"):
        from modelyard_runtime.formats import lightgbm  # noqa: PLC0415 - the pickle has imported it already

        return lightgbm.read_categories(estimator.booster_, estimator.booster_.model_to_string().encode())
    return None


def ends_of(estimator: Any) -> list[tuple[float | None, float | None]] | None:
    """Gives between which values each feature lay, where an estimator has kept it: LightGBM's do."""
    if type(estimator).__module__.partition(".")[0] == "lightgbm" and hasattr(estimator, "booster_"):
        from modelyard_runtime.formats import lightgbm  # noqa: PLC0415 - the pickle has imported it already

        return lightgbm.read_ends(estimator.booster_.model_to_string().encode())
    return None
