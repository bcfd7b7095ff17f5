"""The `prepare` command: converts a fetched model for a faster engine, once for all starts of `serve`.

Called by `__main__` in an init container without credentials or network. It fails where `serve` would fail, so that a
model that can't be loaded is told early; whatever goes wrong beyond loading is a reason for the original to serve.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from modelyard_runtime import loading, samples, settings
from modelyard_runtime.acceleration import child, folder, preparation
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.artifact import store
from modelyard_runtime.formats import adapters, detection
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
BUDGET_SECONDS = 60.0  # a forest takes a second or two, the slowest of skl2onnx's converters fifteen


def prepare(options: settings.PrepareSettings) -> descriptions.Acceleration:
    """Leaves a prepared folder and gives what it decided; raises `StartFailure` as `serve` would."""
    artifact = store.Store(options.artifact_dir)
    manifest, path = artifact.open()
    model_format = detection.require_known(path, options.model_format)
    model = adapters.load(model_format, path, loading.load_options(options))
    identity = descriptions.Description(
        version=folder.runtime_version(),
        digest=manifest.digest,
        format=model_format,
        platform=model.format,
        acceleration=descriptions.Acceleration(model.engine, ""),
    )
    requests = _requests(model, loading.read_samples(options.samples, artifact))
    target = folder.Folder(options.artifact_dir)
    try:
        target.begin()
        decided = _decide(options, model, requests, identity, target)
        target.commit(decided)
    except OSError as error:
        _log.warning("nothing prepared", extra={"fields": {"problem": error.strerror}})
        return descriptions.Acceleration(model.engine, f"nothing was prepared: {error.strerror}")
    return decided.acceleration


def _decide(
    options: settings.PrepareSettings,
    model: models.Model,
    requests: Sequence[models.Request],
    identity: descriptions.Description,
    target: folder.Folder,
) -> descriptions.Description:
    """Gives what a child process has found out, or why it has not."""
    if not options.accelerate:
        return preparation.plain(identity, model.engine, "acceleration is off (spec.runtime.accelerate)")
    staging = target.clear()
    # Outside of the staging folder, which each try empties; on the same volume, which is the only writable one.
    outcome = staging.with_name(".preparing.json")

    def work() -> None:
        found = preparation.prepare(model, requests, identity, target.clear)
        outcome.write_bytes(descriptions.encode(found))

    outcome.unlink(missing_ok=True)
    problem = child.run(work, BUDGET_SECONDS, child.free_bytes())
    found = _read(outcome) if problem is None else None
    outcome.unlink(missing_ok=True)
    if found is None:
        target.clear()
        return preparation.plain(
            identity, model.engine, f"the conversion was given up: {problem or 'no result'}"
        )
    return found


def _read(path: Path) -> descriptions.Description | None:
    try:
        return descriptions.decode(path.read_bytes())
    except OSError:
        return None


def _requests(model: models.Model, listed: Sequence[samples.Placed]) -> list[models.Request]:
    """Gives the samples as requests; raises `StartFailure` for one that doesn't fit the model, as `serve` would."""
    return [samples.request_of(placed, model.signature) for placed in listed]
