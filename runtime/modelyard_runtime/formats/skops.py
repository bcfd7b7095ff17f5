"""scikit-learn models in skops files: the estimator of `formats.sklearn`, from a file that runs no code.

`adapters` imports it on demand. A skops file names types, and loading makes objects of them: only types on a list are
made, skops' own and the one below. What a file names beyond it is told and refused, unless the administrator allows the
artifact's code.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skops
import skops.io

from modelyard_runtime.formats import detection, versions, wording
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats import sklearn as sklearn_format

_log = logging.getLogger(__name__)
# Packages of scikit-learn in which every class is a holder of fitted numbers: trees, losses, kernels, distances.
# Functions in them are not on the list: a file could have them called with arguments of its choice.
_PACKAGES = (
    "_loss", "calibration", "cluster", "ensemble", "feature_selection", "gaussian_process", "linear_model", "metrics",
    "model_selection", "multiclass", "neighbors", "neural_network", "svm", "tree", r"utils\._bunch",
    r"utils\._metadata_requests",
)  # fmt: skip
_CLASS = re.compile(rf"sklearn\.({'|'.join(_PACKAGES)})(\.\w+)*\._?[A-Z]\w*")
_NAMES = frozenset(
    {
        "collections.OrderedDict", "numpy.dtype", "numpy.mean", "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csc.csc_matrix", "scipy.sparse._csr.csr_matrix",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRanker",
        "lightgbm.sklearn.LGBMRegressor", "xgboost.core.Booster", "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRanker", "xgboost.sklearn.XGBRegressor", "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
    }
)  # fmt: skip


class SkopsModel(sklearn_format.SklearnModel):
    """An estimator out of a skops file."""

    format = "skops"

    def __init__(self, estimator: Any, signature: models.Signature, notes: tuple[str, ...]) -> None:
        super().__init__(estimator, signature, notes)
        self.versions: Mapping[str, str] = {
            **self.versions,
            "skops": skops.__version__,
            "numpy": np.__version__,
        }


def is_trusted(name: str) -> bool:
    """Says whether objects of a type, which skops itself does not trust, may be made of a file's content."""
    return name in _NAMES or _CLASS.fullmatch(name) is not None


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> sklearn_format.SklearnModel:
    """Loads the estimator in a file or folder; raises `StartFailure` (LoadFailed, VersionMismatch)."""
    file = detection.find_model_file(path)
    try:
        asked = skops.io.get_untrusted_types(file=file)
    except Exception as error:
        # A damaged archive, or a schema that is none, raises whatever its parser happened to trip over.
        _log.debug("load raised", exc_info=True)
        raise wording.unreadable(file, "skops", error) from error
    refused = [] if options.allows_code else [name for name in asked if not is_trusted(name)]
    if refused:
        shown = ", ".join(refused[:10]) + (", …" if len(refused) > 10 else "")
        raise wording.load_failed(
            f"the artifact {file.name!r} needs types that are not trusted: {shown}; save a model made of "
            "scikit-learn's, XGBoost's or LightGBM's own parts, or choose a runtime class that allows code"
        )
    with sklearn_format.versions_noted() as written:
        estimator = _load(file, asked)
    notes = versions.notes("scikit-learn", written, sklearn.__version__, options)
    return sklearn_format.from_estimator(estimator, file.name, notes, SkopsModel)


def _load(file: Path, trusted: list[str]) -> Any:
    try:
        return skops.io.load(file, trusted=trusted)
    except (ImportError, AttributeError) as error:
        raise wording.load_failed(
            f"the artifact {file.name!r} refers to something this runtime (scikit-learn {sklearn.__version__}) "
            f"doesn't have: {wording.one_line(error)}; choose a runtime class whose image has it"
        ) from error
    except Exception as error:
        # The types are trusted, the numbers in them are not: their own constructors say what is wrong.
        _log.debug("load raised", exc_info=True)
        raise wording.unreadable(file, "skops", error) from error
