"""Artifact on disk → a model that has answered once.

`server` runs `load` in a thread of its own, so that health answers meanwhile; it reports each stage through `enter`.
`trial` runs `attempt` in a child process, where a model may do its worst. Neither may touch the event loop or the
network.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

from modelyard_runtime import cpu, errors, lifecycle, memory, samples, service, settings, warmup
from modelyard_runtime.acceleration import serving
from modelyard_runtime.artifact import locking, store
from modelyard_runtime.artifact import manifest as manifests
from modelyard_runtime.formats import adapters, detection
from modelyard_runtime.formats import model as models
from modelyard_runtime.formats.pickles import rule as pickle_rules

Enter = Callable[[lifecycle.Stage], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Tried:
    """A model that could be loaded, has answered, and gave the samples' answers; its signature is as it was loaded."""

    model: models.Model
    manifest: manifests.Manifest
    model_format: str
    samples: tuple[samples.Placed, ...]


def load(
    options: settings.ServeSettings, enter: Enter, trial: Callable[[Enter], None] | None = None
) -> service.Served:
    """Gives the loaded and warmed model; raises `StartFailure`.

    `trial` is run first, where there is one: it raises the `StartFailure` of a child that tried the same.
    """
    started = time.monotonic()
    folder = store.Store(options.artifact_dir)
    manifest, path = folder.open()
    locking.check(options.locked_digest, manifest.digest, manifest.uri)
    if trial is not None:
        trial(enter)
    model_format = detection.require_known(path, options.model_format)
    permitted = load_options(options)

    def load_original() -> models.Model:
        return adapters.load(model_format, path, permitted)

    with _exhaustion_told(lifecycle.Stage.LOADING):
        opened = serving.open_prepared(
            options, manifest.digest, model_format, load_original, permitted.threads
        )
        model = load_original() if opened.model is None else opened.model
    enter(lifecycle.Stage.WARMING)
    with _exhaustion_told(lifecycle.Stage.WARMING):
        cost = warmup.warm_up(model)
        samples.check(model, read_samples(options.samples, folder))
    return service.Served(model, manifest, cost, time.monotonic() - started, opened.describe(model.engine))


def attempt(options: settings.ServeSettings | settings.PrepareSettings, enter: Enter) -> Tried:
    """Gives the model itself, whatever engine may serve it, once it has done all that `load` asks; raises the same."""
    folder = store.Store(options.artifact_dir)
    manifest, path = folder.open()
    model_format = detection.require_known(path, options.model_format)
    with _exhaustion_told(lifecycle.Stage.LOADING):
        model = adapters.load(model_format, path, load_options(options))
    signature = model.signature
    enter(lifecycle.Stage.WARMING)
    listed = read_samples(options.samples, folder)
    with _exhaustion_told(lifecycle.Stage.WARMING):
        warmup.warm_up(model)
        samples.check(model, listed)
    model.signature = signature
    return Tried(model, manifest, model_format, listed)


@contextlib.contextmanager
def _exhaustion_told(stage: lifecycle.Stage) -> Iterator[None]:
    """Raises the `StartFailure` of too little memory where an adapter, or its library, says so in its own words."""
    try:
        yield
    except (errors.StartFailure, MemoryError) as error:
        if memory.is_exhaustion(error):
            raise memory.exceeded(stage) from error
        raise


def load_options(options: settings.ServeSettings | settings.PrepareSettings) -> models.LoadOptions:
    """Gives what adapters may do, the same in `prepare` and in `serve`."""
    return models.LoadOptions(
        allows_code=options.allow_code,
        threads=cpu.allowed_threads(workers=getattr(options, "workers", 1)),
        refuses_other_versions=options.version_policy is settings.VersionPolicy.REFUSE,
        pickle_rule=pickle_rules.Rule(options.pickle_rule),
        is_pinned=options.is_pinned,
    )


def read_samples(inline: str, folder: store.Store) -> tuple[samples.Placed, ...]:
    """Gives the samples of the spec and those of the samples file; raises `StartFailure` (SettingsInvalid)."""
    listed = samples.decode(inline, "spec.validation.samples")
    file = folder.read_samples()
    return listed if file is None else listed + samples.decode(file, "spec.validation.samplesURI")
