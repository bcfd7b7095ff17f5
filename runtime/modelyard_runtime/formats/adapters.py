"""Finds the module that loads a format in `catalog`'s table, and what other distributions add for formats of their own.

Called by `loading`, and by adapters of formats that wrap another one (MLflow). An adapter is a module with
`load(path, options) -> Model`; it is imported on demand, because its library takes seconds to import and may not be in
this image at all. It must never decide what format a file has: that is `detection`'s job.
"""

import importlib
import importlib.metadata
import logging
from pathlib import Path
from typing import Protocol, cast

from modelyard_runtime.formats import catalog, sklearn_imports
from modelyard_runtime.formats import model as models

# Other distributions add adapters under this group: any name, and a module or object with `load(path, options)`.
ENTRY_POINT_GROUP = "modelyard.formats"
_log = logging.getLogger(__name__)


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
    catalog.require_served(model_format)
    sklearn_imports.defer()
    return cast(Adapter, importlib.import_module(catalog.FORMATS[model_format].module))


def find_added(path: Path) -> Adapter | None:
    """Gives the installed adapter that takes an artifact, None when there is none.

    An adapter may have `recognizes(path) -> bool`; one that has not takes anything.
    """
    for entry_point in sorted(
        importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda one: one.name
    ):
        adapter = entry_point.load()
        recognizes = getattr(adapter, "recognizes", None)
        if recognizes is None or recognizes(path):
            _log.info("adapter chosen", extra={"fields": {"adapter": entry_point.name}})
            return cast(Adapter, adapter)
    return None
