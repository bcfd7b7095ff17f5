"""scikit-learn models in joblib or pickle files.

`loading` calls `load` in a worker thread; importing this module imports scikit-learn, so nothing else may.
Loading a pickle runs code that the file chooses: the digest was verified before, and the process has no credentials.
"""

import logging
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import sklearn
import sklearn.exceptions
import sklearn.utils
import sklearn.utils.validation

from modelyard_runtime import errors
from modelyard_runtime.formats import detection, sklearn_signature
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)


class SklearnModel:
    """A fitted scikit-learn estimator."""

    format = "sklearn"
    engine = "scikit-learn"

    def __init__(self, estimator: Any, signature: models.Signature, notes: tuple[str, ...]) -> None:
        self._estimator = estimator
        self._frame = _FrameBuilder(signature) if signature.is_named else None
        self.signature = signature
        self.versions: Mapping[str, str] = {"scikit-learn": sklearn.__version__, "numpy": np.__version__}
        self.warnings = notes

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives the estimator's predictions and, when wanted, probabilities."""
        del parameters
        table = inputs[models.TABLE]
        try:
            data = table if self._frame is None else self._frame.build(table)
            # An output is called like the method that gives it.
            return {name: np.asarray(getattr(self._estimator, name)(data)) for name in wanted}
        except ValueError as error:
            # scikit-learn and pandas report input they can't take as ValueError.
            raise errors.InvalidInput(f"the model can't take this input: {_one_line(error)}") from error
        except Exception as error:
            # An estimator is foreign code: whatever it raises, the request fails and the server lives.
            _log.debug("predict raised", exc_info=True)
            raise errors.ModelFailed(
                f"the model failed to predict: {type(error).__name__}: {_one_line(error)}"
            ) from error


class _FrameBuilder:
    """Makes the DataFrame a model was fitted on from plain rows."""

    def __init__(self, signature: models.Signature) -> None:
        features = signature.features or ()
        self._names = pd.Index([feature.name for feature in features])
        self._numeric = [feature.name for feature in features if feature.kind is models.Kind.NUMBER]

    def build(self, table: models.Table) -> pd.DataFrame:
        frame = pd.DataFrame(table, columns=self._names, copy=False)
        if table.dtype.kind == "O":
            frame = frame.astype(dict.fromkeys(self._numeric, np.float64))
        return frame


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> SklearnModel:
    """Loads the estimator in a file or folder; raises `StartFailure` (LoadFailed)."""
    del options
    file = detection.find_model_file(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", sklearn.exceptions.InconsistentVersionWarning)
        estimator = _unpickle(file)
    if not hasattr(estimator, "predict"):
        raise _load_failed(
            f"the artifact {file.name!r} holds {_a(type(estimator).__name__)}, not an estimator: "
            "it has no predict method; dump the fitted estimator or pipeline itself"
        )
    _require_fitted(estimator, file.name)
    notes = _version_notes(caught)
    for note in notes:
        _log.warning("version mismatch", extra={"fields": {"problem": note}})
    try:
        tags = sklearn.utils.get_tags(sklearn_signature.first_step(estimator)).input_tags
    except (AttributeError, TypeError):
        # An estimator of another library that only has predict: nothing is known about its input.
        tags = sklearn.utils.InputTags(string=True, categorical=True, allow_nan=True)
    return SklearnModel(estimator, sklearn_signature.read(estimator, tags), notes)


def _unpickle(file: Path) -> Any:
    try:
        return joblib.load(file)
    except ModuleNotFoundError as error:
        raise _load_failed(
            f"the artifact {file.name!r} needs the Python module {error.name!r}, which this runtime doesn't have; "
            "choose a runtime class whose image has it, or save a model of the libraries this one has"
        ) from error
    except (ImportError, AttributeError) as error:
        raise _load_failed(
            f"the artifact {file.name!r} refers to something this runtime (scikit-learn {sklearn.__version__}) "
            f"doesn't have: {_one_line(error)}; a model that uses your own classes or another version of a library "
            "can't be loaded from its file alone"
        ) from error
    except Exception as error:
        # Unpickling calls what the file names: it may raise anything, and whatever it raises is about this file.
        _log.debug("load raised", exc_info=True)
        raise _load_failed(_what_is_wrong(file, error)) from error


def _what_is_wrong(file: Path, error: BaseException) -> str:
    head = detection.read_head(file)
    if detection.infer_format(head) is None:
        return (
            f"the artifact {file.name!r} is {detection.describe(head)}, not a joblib or pickle file; "
            "save the fitted estimator with joblib.dump"
        )
    return (
        f"the artifact {file.name!r} starts like a joblib or pickle file but can't be read to its end "
        f"({type(error).__name__}: {_one_line(error)}); it is damaged or was cut off: publish it again"
    )


def _require_fitted(estimator: Any, name: str) -> None:
    if not hasattr(estimator, "fit"):
        return
    try:
        sklearn.utils.validation.check_is_fitted(estimator)
    except sklearn.exceptions.NotFittedError as error:
        raise _load_failed(
            f"the {type(estimator).__name__} in {name!r} is not fitted; call fit before saving it"
        ) from error
    except TypeError:
        # Not scikit-learn's own kind of estimator: warm-up will show whether it predicts.
        return


def _version_notes(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Gives one sentence per version that wrote a part of the model, when it is not the one here."""
    written_by = {
        str(entry.message.original_sklearn_version)
        for entry in caught
        if isinstance(entry.message, sklearn.exceptions.InconsistentVersionWarning)
    }
    return tuple(
        f"the model was saved with scikit-learn {version} and is served with {sklearn.__version__}: "
        "predictions may differ; save it again with the served version"
        for version in sorted(written_by)
    )


def _load_failed(message: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.LOAD_FAILED, message)


def _one_line(error: BaseException) -> str:
    """Gives an exception's text as one short line without file system paths."""
    text = " ".join(str(error).split())
    text = re.sub(r"(?<![\w.])/[\w./+-]{2,}", "…", text)
    return text if len(text) <= 300 else text[:300] + "…"


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
