"""Finds the module that loads a format: in `catalog`'s table, or among the entry points that add to it.

Called by `loading`, and by adapters of formats that wrap another one (MLflow). An adapter is a module with
`load(path, options) -> Model`; it is imported on demand, because its library takes seconds to import and may not be in
this image at all. It must never decide what format a file has: that is `detection`'s job.
"""

import importlib
import importlib.metadata
from pathlib import Path
from typing import Protocol, cast

from modelyard_runtime import errors
from modelyard_runtime.formats import catalog
from modelyard_runtime.formats import model as models

# Other distributions add formats under this group: name = format, value = module or object with `load`.
ENTRY_POINT_GROUP = "modelyard.formats"


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
    if model_format in catalog.FORMATS:
        catalog.require_served(model_format)
        return cast(Adapter, importlib.import_module(catalog.FORMATS[model_format].module))
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
    return (*catalog.served(), *sorted(added - set(catalog.FORMATS)))
