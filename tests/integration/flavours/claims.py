"""What a flavour's script finds out, one claim at a time, for the test that started it.

Runs inside a flavour's environment, which has the framework and no pytest: so a claim is a name and a truth, printed as
JSON, and `test_flavours` has one test for each.
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import adapters
from modelyard_runtime.formats import model as models

FOLDER = Path(sys.argv[1])
_claims: dict[str, bool | str] = {}


def claim(text: str, truth: Any) -> None:
    """Notes whether something is so; anything but a plain truth is shown as what was found instead."""
    _claims[text] = truth if isinstance(truth, str) else bool(truth)


def tell() -> None:
    """Hands everything over to the test."""
    print(json.dumps(_claims))


def load(model_format: str, name: str, allows_code: bool = False) -> models.Model:
    """Loads an artifact as the runtime does."""
    options = models.LoadOptions(allows_code=allows_code, threads=1)
    return adapters.load(model_format, FOLDER / name, options)


def mlflow_flavour(name: str) -> Any:
    """MLflow's own module for a flavour, out of the environment that has MLflow: this one has the framework.

    Both are the default image and something on top of it, so what they share has the same versions.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    sys.path.append(os.environ["MLFLOW_PACKAGES"])
    return importlib.import_module(f"mlflow.{name}")


def refusal(model_format: str, name: str, allows_code: bool = False) -> str:
    """The words with which an artifact is refused; empty when it isn't."""
    try:
        load(model_format, name, allows_code)
    except errors.StartFailure as failure:
        return failure.message
    return ""


def predict(model: models.Model, inputs: Mapping[str, Any], **parameters: models.Scalar) -> dict[str, Any]:
    """Every default output."""
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    return dict(model.predict(arrays, model.signature.default_outputs, parameters))


def invalid(model: models.Model, inputs: Mapping[str, Any], **parameters: models.Scalar) -> str:
    """The words with which a request is refused; empty when it isn't."""
    try:
        predict(model, inputs, **parameters)
    except errors.InvalidInput as refused:
        return refused.message
    return ""


def same(one: Any, other: Any) -> bool:
    """Says whether two answers are equal but for rounding."""
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-4, atol=1e-5)
