"""What `serve` makes of the prepared folder: a model that answers through its engine, or the reason there is none.

Called by `loading`. It must import no library that makes models: that is what the folder is for.
"""

import logging
from collections.abc import Callable

import msgspec

from modelyard_runtime import settings
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import folder
from modelyard_runtime.acceleration import model as prepared
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)


class Opened(msgspec.Struct, frozen=True):
    """A model on its engine and what to say about it; None when the original has to serve, for this reason."""

    model: prepared.PreparedModel | None
    acceleration: descriptions.Acceleration | None
    reason: str = ""

    def describe(self, engine: str) -> descriptions.Acceleration:
        """Gives which engine serves and why, when the original's is called `engine`."""
        return self.acceleration or descriptions.Acceleration(engine, self.reason)


def open_prepared(
    options: settings.ServeSettings,
    digest: str,
    model_format: str,
    load_original: Callable[[], models.Model],
    threads: int,
) -> Opened:
    """Gives what was prepared for the artifact with this digest; never fails."""
    if not options.accelerate:
        return Opened(None, None, "acceleration is off (spec.runtime.accelerate)")
    place = folder.Folder(options.artifact_dir)
    described = place.read(digest, model_format)
    if described is None:
        return Opened(None, None, "nothing was prepared for this artifact")
    if described.plan is None:
        return Opened(None, described.acceleration)
    if described.warnings and options.version_policy is settings.VersionPolicy.REFUSE:
        return Opened(None, None, "another version of the library wrote the model")
    try:
        # Workers share the CPU limit, and OpenMP's threads don't survive the fork they are made by.
        model = prepared.PreparedModel(
            described, place.path, load_original, threads if options.workers == 1 else 1
        )
        model.start()
    except Exception as error:
        # Foreign code reads the engine's files; whatever it dislikes about them, the original can serve.
        _log.warning(
            "engine not usable", extra={"fields": {"problem": f"{type(error).__name__}: {error}"[:300]}}
        )
        return Opened(None, None, f"the prepared engine can't be used: {type(error).__name__}")
    return Opened(model, described.acceleration)
