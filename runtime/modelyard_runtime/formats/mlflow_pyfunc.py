"""MLflow's python_function: any Python code behind `predict(DataFrame)`.

`mlflow` imports this module in the one image that has MLflow, where an administrator allows code. MLflow loads the
model and checks its input against the signature, as its own scoring server does.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# MLflow tells its makers how it is used; a pod has no business doing so. Read at import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # noqa: TID251

import mlflow.exceptions
import mlflow.pyfunc
import numpy as np
import pandas as pd

from modelyard_runtime import errors
from modelyard_runtime.formats import mlflow_signature, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)


class PythonFunction:
    """A python_function with the signature of its MLmodel file."""

    format = "mlflow"
    engine = "MLflow"

    def __init__(self, wrapped: Any, schema: mlflow_signature.Schema) -> None:
        self._wrapped = wrapped
        self._schema = schema
        self.signature = _signature(schema)
        self.versions: Mapping[str, str] = {"mlflow": mlflow.__version__, "numpy": np.__version__}
        self.warnings: tuple[str, ...] = ()

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives the function's answer; what it returns by name comes by name, everything else as one output."""
        known = {name: value for name, value in parameters.items() if name in self.signature.parameters}
        try:
            answer = self._wrapped.predict(self._data(inputs), params=known or None)
        except (mlflow.exceptions.MlflowException, ValueError) as error:
            raise wording.invalid_input(error) from error
        except Exception as error:
            # A python_function is foreign code: whatever it raises, the request fails and the server lives.
            _log.debug("predict raised", exc_info=True)
            raise wording.model_failed(error) from error
        outputs = _named(answer)
        missing = sorted(wanted - set(outputs))
        if missing:
            raise errors.ModelFailed(f"the model gave {', '.join(outputs)} and no output {missing[0]!r}")
        return {name: outputs[name] for name in wanted}

    def _data(self, inputs: models.Tensors) -> Any:
        if self.signature.inputs:
            given = dict(inputs)
            # A single tensor without a name is what the function gets as it is.
            return given[models.TABLE] if [*given] == [models.TABLE] else given
        table = inputs[models.TABLE]
        frame = pd.DataFrame(table, columns=self._names())
        for entry in self._schema.inputs:
            if entry.name is not None and entry.type in _PANDAS_TYPES:
                frame[entry.name] = frame[entry.name].astype(_PANDAS_TYPES[entry.type])
        return frame

    def _names(self) -> Any:
        names = [entry.name for entry in self._schema.inputs]
        return pd.Index(names) if names and None not in names else None


# MLflow refuses to narrow by itself: JSON's numbers arrive as 64-bit floats.
_PANDAS_TYPES: Mapping[Any, str] = {
    "integer": "int32", "long": "int64", "float": "float32", "double": "float64", "boolean": "bool",
}  # fmt: skip


def load(folder: Path, schema: mlflow_signature.Schema) -> PythonFunction:
    """Loads the function in a folder; raises `StartFailure` (LoadFailed)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = mlflow.pyfunc.load_model(str(folder))
    except ModuleNotFoundError as error:
        raise errors.StartFailure(
            errors.Reason.LOAD_FAILED,
            f"the MLflow model needs the Python module {error.name!r}, which this image doesn't have; build an image "
            "with it on top of the flavour mlflow and offer it as a runtime class",
        ) from error
    except Exception as error:
        # Loading runs what the folder says: whatever it raises is about this model.
        _log.debug("load raised", exc_info=True)
        raise errors.StartFailure(
            errors.Reason.LOAD_FAILED,
            f"the MLflow model can't be loaded: {type(error).__name__}: {wording.one_line(error)}",
        ) from error
    return PythonFunction(wrapped, schema)


def _signature(schema: mlflow_signature.Schema) -> models.Signature:
    outputs = [entry.name for entry in schema.outputs]
    names = [name for name in outputs if name is not None]
    features = schema.features
    return models.Signature(
        features=features,
        is_named=features is not None and all(entry.name for entry in schema.inputs),
        allows_missing=True,
        inputs=schema.tensors,
        outputs=tuple(
            models.TensorSpec(name, "FP64", (-1,))
            for name in (names if len(names) > 1 else [models.PREDICTION])
        ),
        parameters={entry.name: f"default {entry.default!r}" for entry in schema.params if entry.name},
        is_row_wise=False,
    )


def _named(answer: Any) -> dict[str, Any]:
    if isinstance(answer, pd.DataFrame) and answer.shape[1] > 1:
        return {
            models.PREDICTION: answer.to_numpy(),
            **{str(name): answer[name].to_numpy() for name in answer},
        }
    if isinstance(answer, Mapping):
        return {str(name): np.asarray(value) for name, value in answer.items()}
    values = np.asarray(answer)
    # One column of a table is a list of answers.
    return {models.PREDICTION: values.reshape(-1) if isinstance(answer, pd.DataFrame) else values}
