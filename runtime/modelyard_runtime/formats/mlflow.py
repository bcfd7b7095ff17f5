"""MLflow model folders: `MLmodel` says which flavours are in them, which versions wrote them, and their signature.

`adapters` imports this module on demand. Flavours that Modelyard knows are served by its own adapters, without MLflow
and its hundred dependencies. What is left is `python_function`: code that the folder brings along, which needs MLflow
in the image (flavour `mlflow`) and an administrator who allows code.
"""

import importlib.metadata
import importlib.util
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from modelyard_runtime import errors
from modelyard_runtime.formats import adapters, catalog, mlflow_signature, versions, wording
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats.pickles import rule as pickle_rules

_log = logging.getLogger(__name__)
FILE_NAME = "MLmodel"
_MAX_BYTES = 4 * 1024**2


class Flavor(msgspec.Struct, frozen=True):
    """How MLflow writes one flavour down: the keys of its file and version, our format, the library's distribution."""

    file_key: str
    version_key: str
    format: str
    distribution: str


# In the order of preference: a model that was logged with several flavours is served by the first.
FLAVORS: Mapping[str, Flavor] = {
    "onnx": Flavor("data", "onnx_version", "onnx", "onnx"),
    "xgboost": Flavor("data", "xgb_version", "xgboost", "xgboost-cpu"),
    "lightgbm": Flavor("data", "lgb_version", "lightgbm", "lightgbm"),
    "catboost": Flavor("data", "catboost_version", "catboost", "catboost"),
    "sklearn": Flavor("pickled_model", "sklearn_version", "sklearn", "scikit-learn"),
    "keras": Flavor("data", "keras_version", "keras", "keras"),
    "tensorflow": Flavor("data", "keras_version", "keras", "keras"),
    "pytorch": Flavor("model_data", "pytorch_version", "torch", "torch"),
}
# The files of a flavour whose entry names a folder, or nothing.
_FILES = ("model.pt2", "model.pth", "model.keras")


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> models.Model:
    """Loads the model in a folder; raises `StartFailure` (LoadFailed, FormatUnknown)."""
    folder = path if path.is_dir() else path.parent
    described = read(folder / FILE_NAME)
    flavors: Mapping[str, Any] = described["flavors"]
    signature = mlflow_signature.parse(described.get("signature"))
    name = next((name for name in FLAVORS if name in flavors), None)
    if name is None:
        return _load_python_function(folder, flavors, signature, options)
    flavor, entry = FLAVORS[name], flavors[name]
    file = _file(folder, flavor, entry)
    model_format = "skops" if file.suffix == ".skops" else flavor.format
    catalog.require_served(model_format)
    _use_code(folder, entry, options)
    loaded = adapters.load(model_format, file, options)
    loaded.signature = mlflow_signature.complete(loaded.signature, signature)
    found = _version_notes(flavor, entry, options)
    new = tuple(note for note in found if note not in loaded.warnings)
    for note in new:
        _log.warning("version mismatch", extra={"fields": {"problem": note}})
    loaded.warnings = (*loaded.warnings, *new)
    return loaded


def read(file: Path) -> Mapping[str, Any]:
    """Gives the content of an `MLmodel` file; raises `StartFailure` (LoadFailed)."""
    if not file.is_file():
        raise _failed(
            f"the folder has no file {FILE_NAME}; let spec.model.uri name the model's folder itself"
        )
    if file.stat().st_size > _MAX_BYTES:
        raise _failed(f"{FILE_NAME} has {file.stat().st_size} bytes, and {_MAX_BYTES} are the most")
    try:
        content = yaml.safe_load(file.read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _failed(f"{FILE_NAME} is no YAML: {wording.one_line(error)}") from error
    flavors = content.get("flavors") if isinstance(content, dict) else None
    if not isinstance(flavors, dict) or not all(isinstance(entry, dict) for entry in flavors.values()):
        raise _failed(f"{FILE_NAME} lists no flavors; it was not written by MLflow")
    return dict(content)


def _file(folder: Path, flavor: Flavor, entry: Mapping[str, Any]) -> Path:
    """Gives the model file that a flavour's entry names; never one outside of the folder."""
    named = str(entry.get(flavor.file_key) or "data")
    file = (folder / named).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise _failed(f"{FILE_NAME} names the file {named[:200]!r}, which is outside of the folder")
    if file.is_dir():
        file = next((file / name for name in _FILES if (file / name).is_file()), file)
    if not file.is_file():
        raise _failed(
            f"{FILE_NAME} names the file {named[:200]!r}, which is not in the folder; log the model again"
        )
    return file


def _use_code(folder: Path, entry: Mapping[str, Any], options: models.LoadOptions) -> None:
    """Makes the modules that were logged with the model importable, where code is allowed."""
    code = entry.get("code")
    if code and options.allows_code:
        sys.path.insert(0, str(folder / str(code)))


def _version_notes(flavor: Flavor, entry: Mapping[str, Any], options: models.LoadOptions) -> tuple[str, ...]:
    written = str(entry.get(flavor.version_key) or "").partition("+")[0]
    try:
        served = importlib.metadata.version(flavor.distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ()
    title = flavor.distribution.removesuffix("-cpu")
    return versions.notes(title, [written] if written else [], served, options)


def _load_python_function(
    folder: Path, flavors: Mapping[str, Any], signature: mlflow_signature.Schema, options: models.LoadOptions
) -> models.Model:
    if "python_function" not in flavors:
        raise errors.StartFailure(
            errors.Reason.FORMAT_UNKNOWN,
            f"the MLflow model has the flavors {', '.join(sorted(flavors))}, and none of them is served here: "
            f"{', '.join([*FLAVORS, 'python_function'])}",
        )
    if not options.allows_code:
        raise _failed(
            "it is a python_function, which brings code of its own, and the rule MODELYARD_ALLOW_CODE=false forbids it;"
            " an administrator can offer a runtime class with allowCode: true; or log the model with the"
            " flavor of its library"
        )
    if "model_code_path" not in flavors["python_function"]:
        # Its object is in a pickle. Whoever may bring code of his own needs no list for what a pickle calls.
        pickle_rules.must_check(options.pickle_rule, options.is_pinned, FILE_NAME)
    if importlib.util.find_spec("mlflow") is None:
        raise errors.StartFailure(
            errors.Reason.FORMAT_UNKNOWN,
            "the MLflow model is a python_function, and this runtime image lacks mlflow; choose a runtime class with "
            "the image flavour mlflow (spec.runtime.class)",
        )
    # Here, because it is in one image only.
    from modelyard_runtime.formats import mlflow_pyfunc  # noqa: PLC0415

    return mlflow_pyfunc.load(folder, signature)


def _failed(message: str) -> errors.StartFailure:
    return wording.load_failed(f"the MLflow model: {message}")
