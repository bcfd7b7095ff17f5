"""Artifact on disk → a model that has answered once.

`server` runs `load` in a thread of its own, so that health answers meanwhile; it reports each stage through `enter`.
It must never touch the event loop or the network.
"""

import time
from collections.abc import Callable

from modelyard_runtime import cpu, lifecycle, samples, service, settings, warmup
from modelyard_runtime.acceleration import serving
from modelyard_runtime.artifact import store
from modelyard_runtime.formats import adapters, detection
from modelyard_runtime.formats import model as models


def load(options: settings.ServeSettings, enter: Callable[[lifecycle.Stage], None]) -> service.Served:
    """Gives the loaded and warmed model; raises `StartFailure`."""
    started = time.monotonic()
    folder = store.Store(options.artifact_dir)
    manifest, path = folder.open()
    model_format = detection.require_known(path, options.model_format)
    permitted = load_options(options)

    def load_original() -> models.Model:
        return adapters.load(model_format, path, permitted)

    opened = serving.open_prepared(options, manifest.digest, model_format, load_original, permitted.threads)
    model = load_original() if opened.model is None else opened.model
    enter(lifecycle.Stage.WARMING)
    cost = warmup.warm_up(model)
    samples.check(model, read_samples(options.samples, folder))
    return service.Served(model, manifest, cost, time.monotonic() - started, opened.describe(model.engine))


def load_options(options: settings.ServeSettings | settings.PrepareSettings) -> models.LoadOptions:
    """Gives what adapters may do, the same in `prepare` and in `serve`."""
    return models.LoadOptions(
        allows_code=options.allow_code,
        threads=cpu.allowed_threads(workers=getattr(options, "workers", 1)),
        refuses_other_versions=options.version_policy is settings.VersionPolicy.REFUSE,
    )


def read_samples(inline: str, folder: store.Store) -> tuple[samples.Placed, ...]:
    """Gives the samples of the spec and those of the samples file; raises `StartFailure` (SettingsInvalid)."""
    listed = samples.decode(inline, "spec.validation.samples")
    file = folder.read_samples()
    return listed if file is None else listed + samples.decode(file, "spec.validation.samplesURI")
