"""Which module loads which format: the table, and the entry points that add to it.

Called by `loading`, and by adapters of formats that wrap another one (MLflow). An adapter is a module with
`load(path, options) -> Model`; it is imported on demand, because its library takes seconds to import and may not be in
this image at all. It must never decide what format a file has: that is `detection`'s job.
"""

import importlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from modelyard_runtime import errors
from modelyard_runtime.formats import model as models

# Other distributions add formats under this group: name = format, value = module or object with `load`.
ENTRY_POINT_GROUP = "modelyard.formats"

BUILT_IN: Mapping[str, str] = {
    "sklearn": "modelyard_runtime.formats.sklearn",
}


class Adapter(Protocol):
    """What loads one format."""

    def load(self, path: Path, options: models.LoadOptions) -> models.Model:
        """Gives the model in a file or folder; raises `errors.StartFailure`. Blocks."""
        ...


def load(model_format: str, path: Path, options: models.LoadOptions) -> models.Model:
    """Gives the model in `path`; raises `StartFailure`, also when this image lacks the format or its library."""
    return find(model_format).load(path, options)


def find(model_format: str) -> Adapter:
    """Gives the adapter of a format; raises `StartFailure` (FormatUnknown)."""
    if model_format in BUILT_IN:
        return cast(Adapter, _import(model_format, BUILT_IN[model_format]))
    found = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=model_format)
    for entry_point in found:
        return cast(Adapter, entry_point.load())
    raise errors.StartFailure(
        errors.Reason.FORMAT_UNKNOWN,
        f"this runtime has no adapter for the format {model_format!r}; it has {', '.join(names())}",
    )


def names() -> tuple[str, ...]:
    """Gives the formats of this image: those of Modelyard and those of installed entry points."""
    added = {entry_point.name for entry_point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
    return tuple(dict.fromkeys([*BUILT_IN, *sorted(added)]))


def _import(model_format: str, module: str) -> object:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("modelyard_runtime"):
            raise
        raise errors.StartFailure(
            errors.Reason.FORMAT_UNKNOWN,
            f"the artifact is a model of the format {model_format!r}, and this image lacks the library {error.name!r}; "
            f"choose a runtime class that offers it: set spec.model.format to {model_format}, or name the class in "
            "spec.runtime.class",
        ) from error
