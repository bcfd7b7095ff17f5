"""CatBoost models (.cbm).

`adapters` imports this module on demand, in images that have CatBoost. The file runs no code. Categorical and text
features arrive as text or whole numbers; everything else is a number, and a missing one is NaN.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd

from modelyard_runtime.formats import detection, versions, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
# Losses whose answer is one of several labels; every other gives a number, or several.
_CLASSIFYING = ("Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll")


class CatBoostModel:
    """A CatBoost model of any kind; a classifier gives labels and, when asked, probabilities."""

    format = "catboost"
    engine = "CatBoost"

    def __init__(self, booster: Any, options: models.LoadOptions) -> None:
        self._booster = booster
        self._threads = options.threads
        self._texts = frozenset(_text_indices(booster))
        self.signature = _signature(booster, self._texts)
        self.versions: Mapping[str, str] = {"catboost": catboost.__version__, "numpy": np.__version__}
        self.warnings = versions.notes("CatBoost", _written_by(booster), catboost.__version__, options)

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives the labels or numbers and, when wanted, probabilities."""
        del parameters
        try:
            pool = catboost.Pool(
                self._table(inputs[models.TABLE]),
                # The order of the columns is ours to keep; CatBoost compares the names all the same.
                feature_names=self._booster.feature_names_,
                cat_features=self._booster.get_cat_feature_indices(),
                text_features=self._booster.get_text_feature_indices(),
                thread_count=self._threads,
            )
            return {name: self._answer(name, pool) for name in wanted}
        except (ValueError, TypeError, catboost.CatBoostError) as error:
            raise wording.invalid_input(error) from error

    def _answer(self, name: str, pool: Any) -> Any:
        kind = "RawFormulaVal"
        if self.signature.classes is not None:
            kind = "Probability" if name == models.PROBABILITY else "Class"
        answer = np.asarray(self._booster.predict(pool, prediction_type=kind, thread_count=self._threads))
        # Several classes come as a column; everybody else gives labels as a list.
        return answer.reshape(-1) if kind == "Class" else answer

    def _table(self, table: models.Table) -> Any:
        if not self._texts:
            return np.asarray(table, dtype=np.float64)
        # One column per feature, since categories are text and numbers are numbers.
        frame = pd.DataFrame(table, copy=False)
        for column in frame:
            is_text = column in self._texts
            frame[column] = (
                frame[column].map(_category).astype(object) if is_text else frame[column].astype(np.float64)
            )
        return frame


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> CatBoostModel:
    """Loads the model in a file or folder; raises `StartFailure` (LoadFailed)."""
    file = detection.find_model_file(path)
    booster = catboost.CatBoost()
    try:
        booster.load_model(str(file), format="cbm")
    except catboost.CatBoostError as error:
        _log.debug("load raised", exc_info=True)
        raise wording.unreadable(file, "catboost", error) from error
    if booster.get_embedding_feature_indices():
        raise wording.load_failed(
            f"the model in {file.name!r} takes embeddings as features, which no protocol here can carry"
        )
    return CatBoostModel(booster, options)


def _written_by(booster: Any) -> list[str]:
    """Gives the version in the file's build information, where it is a released one."""
    return re.findall(r"CatBoost release (\d[\w.]*)\.", str(booster.get_metadata()["catboost_version_info"]))[
        :1
    ]


def _text_indices(booster: Any) -> list[int]:
    return [*booster.get_cat_feature_indices(), *booster.get_text_feature_indices()]


def _signature(booster: Any, texts: frozenset[int]) -> models.Signature:
    names = [str(name) for name in booster.feature_names_]
    # CatBoost numbers the columns of an array from 0 and calls them that.
    is_named = names != [str(index) for index in range(len(names))]
    features = tuple(
        models.Feature(
            name if is_named else f"x{index}", models.Kind.TEXT if index in texts else models.Kind.NUMBER
        )
        for index, name in enumerate(names)
    )
    loss = str(booster.get_all_params().get("loss_function", "")).partition(":")[0]
    prediction = models.TensorSpec(models.PREDICTION, "FP64", (-1,))
    if loss not in _CLASSIFYING:
        return models.Signature(
            features=features, is_named=is_named, allows_missing=True, outputs=(prediction,)
        )
    classes = tuple(label.item() if isinstance(label, np.generic) else label for label in booster.classes_)
    probability = models.TensorSpec(models.PROBABILITY, "FP64", (-1, len(classes)))
    return models.Signature(
        features=features,
        is_named=is_named,
        allows_missing=True,
        outputs=(
            models.TensorSpec(models.PREDICTION, models.datatype_of(np.asarray(classes).dtype), (-1,)),
            probability,
        ),
        on_request=frozenset({models.PROBABILITY}),
        classes=classes,
    )


def _category(value: Any) -> str:
    """Gives a category as CatBoost knows it: whole numbers as such, absent as the empty text."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
