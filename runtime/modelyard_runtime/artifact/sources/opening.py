"""Which source a URI's scheme stands for: the one table of schemes.

Called by `artifact.fetch` for the artifact and its companions (samples, signature). A kind of source is imported when
it is needed: its library takes time to import, and a pod needs one.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris

# Scheme → the module that gives the source, by its `build(location, surroundings)`.
_MODULES: Mapping[str, str] = {
    "file": "local",
    "http": "http",
    "https": "http",
    "s3": "s3",
}


def open_source(location: uris.Location, surroundings: source.Surroundings) -> source.Source:
    """Gives the source of a URI; raises `StartFailure`."""
    module = importlib.import_module(f"modelyard_runtime.artifact.sources.{_MODULES[location.scheme]}")
    build = cast(Callable[[uris.Location, source.Surroundings], source.Source], module.build)
    return build(location, surroundings)
