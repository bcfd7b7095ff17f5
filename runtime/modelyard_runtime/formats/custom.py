"""A model whose code comes with it: a folder with a `model.py`, or an artifact that an installed adapter takes.

`adapters` imports this module on demand. An adapter in the image is the administrator's choice already; running an
artifact's own code is another (`MODELYARD_ALLOW_CODE`, a runtime class' `allowCode`), since it does whatever its author
wants within the pod: without it, nothing of the folder is even read. docs/custom-models.md describes both.
"""

import importlib.util
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np

from modelyard_runtime import errors
from modelyard_runtime.formats import adapters, wording
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
FILE_NAME = "model.py"
CLASS_NAME = "Model"
_MODULE = "modelyard_custom_model"
_EXAMPLE = 'class Model: def __init__(self, folder): …; def predict(self, inputs): return {"y": inputs["x"]}'


class CustomModel:
    """An object of the author's class behind our protocol."""

    format = "custom"
    engine = "Python"

    def __init__(self, wrapped: Any, signature: models.Signature) -> None:
        self._wrapped = wrapped
        self._takes_parameters = bool(signature.parameters)
        self.signature = signature
        self.versions: Mapping[str, str] = {
            "python": ".".join(map(str, sys.version_info[:3])),
            "numpy": np.__version__,
            **getattr(wrapped, "versions", {}),
        }
        self.warnings: tuple[str, ...] = ()

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Gives what the author's `predict` gives; a ValueError of his is the caller's mistake."""
        try:
            arguments = (inputs, parameters) if self._takes_parameters else (inputs,)
            answer = self._wrapped.predict(*arguments)
        except ValueError as error:
            raise wording.invalid_input(error) from error
        except Exception as error:
            # An author's class is foreign code: whatever it raises, the request fails and the server lives.
            _log.debug("predict raised", exc_info=True)
            raise wording.model_failed(error) from error
        outputs = answer if isinstance(answer, Mapping) else {self.signature.outputs[0].name: answer}
        missing = sorted(wanted - set(outputs))
        if missing:
            raise errors.ModelFailed(f"the model's predict gave no output {missing[0]!r}")
        return {name: np.asarray(outputs[name]) for name in wanted}


def load(path: Path, options: models.LoadOptions = models.DEFAULT_OPTIONS) -> models.Model:
    """Loads the class in a folder's `model.py`, else by an installed adapter; raises `StartFailure` (LoadFailed)."""
    folder = path if path.is_dir() else path.parent
    if not (folder / FILE_NAME).is_file():
        return _load_added(path, options)
    if not options.allows_code:
        raise wording.load_failed(
            f"the artifact brings code of its own ({FILE_NAME}), and the rule MODELYARD_ALLOW_CODE=false forbids it; "
            "an administrator can offer a runtime class with allowCode: true; or save the model in a form without code"
        )
    module = _imported(folder)
    factory = getattr(module, CLASS_NAME, None)
    if not callable(factory):
        raise wording.load_failed(f"{FILE_NAME} defines no class {CLASS_NAME}; write {_EXAMPLE}")
    try:
        wrapped = factory(folder)
    except Exception as error:
        raise _raised(f"{CLASS_NAME}(folder)", error) from error
    if not callable(getattr(wrapped, "predict", None)):
        raise wording.load_failed(
            f"the class {CLASS_NAME} in {FILE_NAME} has no predict method; write {_EXAMPLE}"
        )
    return CustomModel(wrapped, signature_of(getattr(wrapped, "signature", None) or {}))


def signature_of(described: Any) -> models.Signature:
    """Gives the signature that a class describes in plain dictionaries; raises `StartFailure` (LoadFailed).

    `{"inputs": [{"name", "datatype", "shape"}], "outputs": […], "optional": […], "parameters": {name: meaning}}`, or
    `"features": [names]` for a model that takes a table.
    """
    try:
        parsed = msgspec.convert(described, _Described)
    except msgspec.ValidationError as error:
        raise wording.load_failed(
            f"the signature of {CLASS_NAME} in {FILE_NAME}: {error}; docs/custom-models.md shows it"
        ) from None
    outputs = parsed.outputs or (models.TensorSpec(models.PREDICTION, "FP64", (-1,)),)
    features = None
    if parsed.features is not None:
        features = tuple(models.Feature(name, models.Kind.ANY) for name in parsed.features)
    return models.Signature(
        features=features,
        is_named=features is not None,
        allows_missing=True,
        inputs=parsed.inputs,
        optional=parsed.optional,
        outputs=outputs,
        parameters=parsed.parameters,
        # Only the author knows; unless he says so, each request is a call of its own.
        is_row_wise=parsed.row_wise,
    )


class _Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: tuple[str, ...] | None = None
    inputs: tuple[models.TensorSpec, ...] = ()
    outputs: tuple[models.TensorSpec, ...] = ()
    optional: frozenset[str] = frozenset()
    parameters: dict[str, str] = {}
    row_wise: bool = False


def _load_added(path: Path, options: models.LoadOptions) -> models.Model:
    adapter = adapters.find_added(path)
    if adapter is None:
        raise wording.load_failed(
            f"the artifact has no {FILE_NAME} at its top, and this image has no adapter of its own that takes it"
            f" (entry points {adapters.ENTRY_POINT_GROUP}); docs/custom-models.md describes both"
        )
    return adapter.load(path, options)


def _imported(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_MODULE, folder / FILE_NAME)
    if spec is None or spec.loader is None:
        raise wording.load_failed(f"{FILE_NAME} can't be imported")
    module = importlib.util.module_from_spec(spec)
    # Pickles name the module of their classes, and modules beside it are imported by name.
    sys.modules[_MODULE] = module
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise wording.load_failed(
            f"{FILE_NAME} needs the Python module {error.name!r}, which this image doesn't have; build an image "
            "with it on top of the runtime's and offer it as a runtime class"
        ) from error
    except (Exception, SystemExit) as error:
        raise _raised(FILE_NAME, error) from error
    return module


def _raised(where: str, error: BaseException) -> errors.StartFailure:
    _log.debug("load raised", exc_info=True)
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(FILE_NAME):
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f" ({FILE_NAME}, line {line})" if line else ""
    return wording.load_failed(f"{where} raised {type(error).__name__}: {wording.one_line(error)}{place}")
