"""A model that has passed its trial → the prepared folder, with a faster engine or with the reason for none.

Called by `prepare`, `convert` in the child that tried the model and `give_up` in the parent of one that didn't live
through it. It must never fail for want of an engine, or of room to write one down: then the original serves.
"""

import logging

from modelyard_runtime import loading, samples, settings, trial
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.acceleration import folder, preparation

_log = logging.getLogger(__name__)


def convert(options: settings.PrepareSettings, tried: loading.Tried) -> descriptions.Acceleration:
    """Leaves the prepared folder and gives what it says. Takes as long as it takes."""
    model = tried.model
    identity = _identity(tried.manifest.digest, tried.model_format, model.format, model.engine)
    target = folder.Folder(options.artifact_dir)
    try:
        target.begin()
        if options.accelerate:
            requests = [samples.request_of(placed, model.signature) for placed in tried.samples]
            found = preparation.prepare(model, requests, identity, target.clear)
        else:
            found = preparation.plain(identity, model.engine, "acceleration is off (spec.runtime.accelerate)")
        target.commit(found)
    except OSError as error:
        return _nothing(target, model.engine, error)
    return found.acceleration


def give_up(
    options: settings.PrepareSettings, passed: trial.Passed, reason: str
) -> descriptions.Acceleration:
    """Leaves a prepared folder that says why the original serves, and gives what it says."""
    identity = _identity(passed.digest, passed.format, passed.platform, passed.engine)
    found = preparation.plain(identity, passed.engine, reason)
    target = folder.Folder(options.artifact_dir)
    try:
        target.begin()
        target.commit(found)
    except OSError as error:
        return _nothing(target, passed.engine, error)
    return found.acceleration


def _identity(digest: str, model_format: str, platform: str, engine: str) -> descriptions.Description:
    return descriptions.Description(
        version=folder.runtime_version(),
        digest=digest,
        format=model_format,
        platform=platform,
        acceleration=descriptions.Acceleration(engine, ""),
    )


def _nothing(target: folder.Folder, engine: str, error: OSError) -> descriptions.Acceleration:
    """Gives up the room that was taken, and gives the reason."""
    _log.warning("nothing prepared", extra={"fields": {"problem": error.strerror}})
    target.discard()
    return descriptions.Acceleration(engine, f"nothing was prepared: {error.strerror}")
