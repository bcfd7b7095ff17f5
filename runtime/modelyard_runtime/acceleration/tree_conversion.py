"""Forests, boosting and single trees → a Treelite file.

Called by `conversion`, in the process that converts.
"""

import copy
from pathlib import Path
from typing import Any

from modelyard_runtime.acceleration import description as descriptions

FILE = "trees.bin"
_FORESTS = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
_SINGLE = {
    "DecisionTreeClassifier": "RandomForestClassifier",
    "DecisionTreeRegressor": "RandomForestRegressor",
    "ExtraTreeClassifier": "RandomForestClassifier",
    "ExtraTreeRegressor": "RandomForestRegressor",
}
_GRADIENT = ("GradientBoostingClassifier", "GradientBoostingRegressor")
_HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")
_XGBOOST = ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor")
_LIGHTGBM = ("LGBMClassifier", "LGBMRegressor")
_KNOWN = {
    "sklearn": (*_FORESTS, *_SINGLE, *_GRADIENT, *_HISTOGRAM),
    "xgboost": _XGBOOST,
    "lightgbm": _LIGHTGBM,
}


def is_known(estimator: Any) -> bool:
    """Says whether Treelite has a form for an estimator; a class derived from a known one may predict otherwise."""
    library = type(estimator).__module__.partition(".")[0]
    return type(estimator).__name__ in _KNOWN.get(library, ())


def convert(estimator: Any, folder: Path) -> descriptions.Trees:
    """Writes the trees of an estimator and says how to use them; raises whatever the converter raises."""
    import treelite  # noqa: PLC0415 - only the process that converts pays for it

    name = type(estimator).__name__
    if name in _XGBOOST:
        found = treelite.frontend.from_xgboost(estimator.get_booster())
    elif name in _LIGHTGBM:
        found = treelite.frontend.from_lightgbm(estimator.booster_)
    else:
        found = treelite.sklearn.import_model(_as_forest(estimator) if name in _SINGLE else estimator)
    found.serialize(str(folder / FILE))
    return descriptions.Trees(
        FILE,
        rounds=name in (*_FORESTS, *_SINGLE, *_GRADIENT),
        takes_second=name == "GradientBoostingClassifier",
        input_type=found.input_type,
    )


def _as_forest(tree: Any) -> Any:
    """Gives the forest of one tree, which answers like the tree: Treelite reads forests only."""
    import sklearn.ensemble  # noqa: PLC0415 - see `convert`

    forest = getattr(sklearn.ensemble, _SINGLE[type(tree).__name__])(n_estimators=1)
    forest.estimators_ = [copy.copy(tree)]
    for attribute in ("n_features_in_", "n_outputs_", "n_classes_", "classes_"):
        if hasattr(tree, attribute):
            setattr(forest, attribute, getattr(tree, attribute))
    return forest
