"""Which source a URI's scheme stands for: the one table of schemes.

Called by `artifact.fetch` for the artifact and its companions (samples, signature). A kind of source is imported when
it is needed: its library takes time to import, and a pod needs one.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import cast

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris

# Scheme → the module that gives the source, by its `build(location, surroundings)`.
_MODULES: Mapping[str, str] = {
    "file": "local",
    "http": "http",
    "https": "http",
    "s3": "s3",
    "gs": "gcs",
    "az": "azure",
    "pvc": "pvc",
    "oci": "oci",
    "oci+volume": "ocivolume",
    "hf": "huggingface",
    "mlflow": "mlflow",
    "runs": "mlflow",
}


def open_source(location: uris.Location, surroundings: source.Surroundings) -> source.Source:
    """Gives the source of a URI; raises `StartFailure`."""
    if location.scheme not in _MODULES:
        raise errors.StartFailure(
            errors.Reason.URI_UNSUPPORTED,
            f"{location.shown}: this version of the runtime can't fetch from {location.scheme}: yet; "
            f"it can from {', '.join(_MODULES)}",
        )
    module = importlib.import_module(f"modelyard_runtime.artifact.sources.{_MODULES[location.scheme]}")
    build = cast(Callable[[uris.Location, source.Surroundings], source.Source], module.build)
    return build(location, surroundings)
