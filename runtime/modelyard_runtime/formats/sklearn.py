"""scikit-learn models: what is in a joblib or pickle file, or what `formats.skops` read without running code.

`adapters` imports it on demand; importing this module imports scikit-learn, so nothing else may.
Loading a pickle runs code that the file chooses: unless the spec names its digest, it is checked first (`pickles`), and
the administrator's rule may forbid it altogether.
"""

import contextlib
import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import sklearn
import sklearn.exceptions
import sklearn.utils.validation

from modelyard_runtime import errors
from modelyard_runtime.formats import (
    detection,
    sklearn_boosting,
    sklearn_chain,
    sklearn_ranges,
    sklearn_shortcuts,
    sklearn_signature,
    versions,
    wording,
)
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats.pickles import loader
from modelyard_runtime.formats.pickles import rule as pickle_rules

_log = logging.getLogger(__name__)


class SklearnModel:
    """A fitted scikit-learn estimator, or one of another library that keeps to its conventions."""

    format = "sklearn"
    engine = "scikit-learn"

    def __init__(self, estimator: Any, signature: models.Signature, notes: tuple[str, ...]) -> None:
        self.estimator = estimator
        self._build = _frame_builder(estimator, signature) if signature.is_named else None
        self._checks = sklearn_shortcuts.Checks(estimator)
        self._chain: sklearn_chain.Chain | None = None
        if self._build is None and signature.is_numeric:
            self._chain = sklearn_chain.build(estimator, frozenset(one.name for one in signature.outputs))
        self.signature = signature
        self.versions: Mapping[str, str] = {"scikit-learn": sklearn.__version__, "numpy": np.__version__}
        self.warnings = notes

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives the wanted outputs; each is called like the method of the estimator that gives it."""
        del parameters
        table = inputs[models.TABLE]
        chain = self._chain
        try:
            if chain is not None and wanted <= chain.names and chain.takes(table):
                return {name: chain.answer(name, table) for name in wanted}
            data = table if self._build is None else self._build(table)
            self._checks.adjust(table)
            return {name: as_array(getattr(self.estimator, name)(data)) for name in wanted}
        except (ValueError, TypeError) as error:
            # scikit-learn and pandas report input they can't take as ValueError, and as TypeError where text and
            # missing values meet in one column. Numbers that pass as such are the caller's fault only by value.
            if isinstance(error, TypeError) and table.dtype.kind != "O":
                raise _model_failed(error) from error
            raise errors.InvalidInput(self._refusal(table, error)) from error
        except Exception as error:
            # An estimator is foreign code: whatever it raises, the request fails and the server lives.
            raise _model_failed(error) from error

    def unabridged(self) -> "SklearnModel":
        """Gives the same model answering by the estimator's own methods only, which `preparation` measures against."""
        plain = copy.copy(self)
        plain._chain = None
        return plain

    def _refusal(self, table: models.Table, error: Exception) -> str:
        """Gives the words for a refused table: the value to blame, when it is NaN or infinite and NaN is refused."""
        if table.dtype.kind == "f" and not (finite := np.isfinite(table)).all():
            row, column = np.argwhere(~finite)[0].tolist()
            value = "missing (NaN)" if np.isnan(table[row, column]) else "infinite"
            place = self.signature.place(row, column)
            return f"{place} is {value}, and the model refuses it: {wording.one_line(error)}"
        return f"the model can't take this input: {wording.one_line(error)}"


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> SklearnModel:
    """Loads the estimator in a file or folder; raises `StartFailure` (LoadFailed, VersionMismatch)."""
    file = detection.find_model_file(path)
    with versions_noted() as written:
        estimator = _unpickle(file, options)
    return from_estimator(
        estimator, file.name, versions.notes("scikit-learn", written, sklearn.__version__, options)
    )


def from_estimator(
    estimator: Any, name: str, notes: tuple[str, ...], kind: type[SklearnModel] = SklearnModel
) -> SklearnModel:
    """Gives the model of a fitted estimator from the file `name`; raises `StartFailure` (LoadFailed)."""
    if not any(hasattr(estimator, method) for method in sklearn_signature.ANSWERS):
        raise wording.load_failed(
            f"the artifact {name!r} holds {wording.a(type(estimator).__name__)}, not an estimator: it has neither a "
            "predict nor a transform method; save the fitted estimator or pipeline itself"
        )
    _require_fitted(estimator, name)
    for note in notes:
        _log.warning("version mismatch", extra={"fields": {"problem": note}})
    signature = sklearn_ranges.complete(sklearn_signature.read(estimator), estimator)
    is_row_wise = sklearn_shortcuts.is_row_wise(estimator)
    return kind(estimator, msgspec.structs.replace(signature, is_row_wise=is_row_wise), notes)


@contextlib.contextmanager
def versions_noted() -> Iterator[set[str]]:
    """Collects the versions of scikit-learn, other than this one, that wrote what is loaded meanwhile."""
    written: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", sklearn.exceptions.InconsistentVersionWarning)
        yield written
    for entry in caught:
        if isinstance(entry.message, sklearn.exceptions.InconsistentVersionWarning):
            written.add(str(entry.message.original_sklearn_version))


def as_array(value: Any) -> models.Table:
    """Gives an estimator's answer as one array: sparse ones filled in, one table per target stacked.

    The tables of several targets become one array of rows by targets by classes; where a target has fewer classes than
    another, the probability of those it lacks is 0.
    """
    if hasattr(value, "toarray"):
        return np.asarray(value.toarray())
    if not isinstance(value, list):
        return np.asarray(value)
    width = max(table.shape[1] for table in value)
    stacked = np.zeros((len(value[0]), len(value), width), dtype=value[0].dtype)
    for target, table in enumerate(value):
        stacked[:, target, : table.shape[1]] = table
    return stacked


def _frame_builder(estimator: Any, signature: models.Signature) -> Callable[[models.Table], Any] | None:
    """Gives what makes the DataFrame a model was fitted on from plain rows, or None where it can do without."""
    import pandas as pd  # noqa: PLC0415 - half a second that models without names don't pay

    features = signature.features or ()
    names = [feature.name for feature in features]

    def answer(data: Any) -> dict[str, models.Table]:
        return {one.name: as_array(getattr(estimator, one.name)(data)) for one in signature.outputs}

    listed = sklearn_boosting.categories_of(sklearn_signature.first_step(estimator)) or {}
    if signature.is_numeric and not listed and sklearn_shortcuts.drop_names(estimator, names, answer):
        return None
    columns = pd.Index(names)
    numeric: dict[str, Any] = {one.name: np.float64 for one in features if one.kind is models.Kind.NUMBER}
    coded = {names[index]: pd.CategoricalDtype(values) for index, values in listed.items()}

    def build(table: models.Table) -> Any:
        frame = pd.DataFrame(table, columns=columns, copy=False)
        types = {**(numeric if table.dtype.kind == "O" else {}), **coded}
        return frame.astype(types) if types else frame

    return build


def _unpickle(file: Path, options: models.LoadOptions) -> Any:
    must_check = pickle_rules.must_check(options.pickle_rule, options.is_pinned, file.name)
    try:
        return loader.load(file) if must_check else joblib.load(file)
    except errors.StartFailure:
        raise
    except ModuleNotFoundError as error:
        raise wording.load_failed(
            f"the artifact {file.name!r} needs the Python module {error.name!r}, which this runtime doesn't have; "
            "choose a runtime class whose image has it, or save a model of the libraries this one has"
        ) from error
    except (ImportError, AttributeError) as error:
        raise wording.load_failed(
            f"the artifact {file.name!r} refers to something this runtime (scikit-learn {sklearn.__version__}) "
            f"doesn't have: {wording.one_line(error)}; a model that uses your own classes or another version of a "
            "library can't be loaded from its file alone"
        ) from error
    except Exception as error:
        # Unpickling calls what the file names: it may raise anything, and whatever it raises is about this file.
        _log.debug("load raised", exc_info=True)
        raise wording.unreadable(file, "sklearn", error) from error


def _require_fitted(estimator: Any, name: str) -> None:
    if not hasattr(estimator, "fit"):
        return
    try:
        sklearn.utils.validation.check_is_fitted(estimator)
    except sklearn.exceptions.NotFittedError as error:
        raise wording.load_failed(
            f"the {type(estimator).__name__} in {name!r} is not fitted; call fit before saving it"
        ) from error
    except TypeError:
        # Not scikit-learn's own kind of estimator: warm-up will show whether it predicts.
        return


def _model_failed(error: Exception) -> errors.ModelFailed:
    _log.debug("predict raised", exc_info=True)
    return wording.model_failed(error)
