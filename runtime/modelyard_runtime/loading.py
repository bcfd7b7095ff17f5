"""Artifact on disk → a model that has answered once.

`server` runs `load` in a thread of its own, so that health answers meanwhile; it reports each stage through `enter`.
It must never touch the event loop or the network.
"""

import logging
import time
from collections.abc import Callable

import msgspec
import numpy as np

from modelyard_runtime import cpu, errors, lifecycle, samples, scheduling, service, settings
from modelyard_runtime.artifact import store
from modelyard_runtime.formats import adapters, detection
from modelyard_runtime.formats import model as models

_log = logging.getLogger(__name__)
_MANY_ROWS = 64
_REPEATS = 5  # the first calls import and allocate; the fastest is what the model costs


def load(options: settings.ServeSettings, enter: Callable[[lifecycle.Stage], None]) -> service.Served:
    """Gives the loaded and warmed model; raises `StartFailure`."""
    started = time.monotonic()
    folder = store.Store(options.artifact_dir)
    manifest, path = folder.open()
    model_format = detection.require_known(path, options.model_format)
    permitted = models.LoadOptions(allows_code=options.allow_code, threads=cpu.allowed_threads())
    model = adapters.load(model_format, path, permitted)
    enter(lifecycle.Stage.WARMING)
    cost = warm_up(model)
    samples.check(model, read_samples(options.samples, folder))
    return service.Served(model, manifest, cost, load_seconds=time.monotonic() - started)


def read_samples(inline: str, folder: store.Store) -> tuple[samples.Placed, ...]:
    """Gives the samples of the spec and those of the samples file; raises `StartFailure` (SettingsInvalid)."""
    listed = samples.decode(inline, "spec.validation.samples")
    file = folder.read_samples()
    return listed if file is None else listed + samples.decode(file, "spec.validation.samplesURI")


def warm_up(model: models.Model) -> scheduling.Cost:
    """Predicts on made-up rows, so that the first caller doesn't pay for lazy imports, and measures what it costs."""
    few = synthetic_table(model.signature, 1)
    if few is None:
        _log.info("warm-up skipped: the model takes text, and no row can be made up for it")
        return scheduling.UNKNOWN
    many = synthetic_table(model.signature, _MANY_ROWS)
    if many is None:
        return scheduling.UNKNOWN
    try:
        outputs, seconds_few = _fastest(model, few)
        _, seconds_many = _fastest(model, many)
    except (errors.InvalidInput, errors.ModelFailed) as error:
        _log.info(
            "warm-up skipped: the model refuses a made-up row", extra={"fields": {"problem": error.message}}
        )
        return scheduling.UNKNOWN
    model.signature = msgspec.structs.replace(
        model.signature, outputs=tuple(_seen(output, outputs) for output in model.signature.outputs)
    )
    return scheduling.measured(1, seconds_few, _MANY_ROWS, seconds_many)


def synthetic_table(signature: models.Signature, rows: int) -> models.Table | None:
    """Gives rows of zeros for a model that takes a known number of numbers, else None."""
    if signature.features is None or not signature.is_numeric:
        return None
    return np.zeros((rows, len(signature.features)), dtype=np.float64)


def _seen(output: models.TensorSpec, outputs: models.Tensors) -> models.TensorSpec:
    """Gives an output's type and shape as the warm-up saw them."""
    if output.name not in outputs:
        return output
    array = outputs[output.name]
    return models.TensorSpec(output.name, models.datatype_of(array.dtype), (-1, *array.shape[1:]))


def _fastest(model: models.Model, table: models.Table) -> tuple[models.Tensors, float]:
    """Gives the outputs and the least seconds of a few calls; a slow model is asked once."""
    best_seconds = float("inf")
    for _ in range(_REPEATS):
        started = time.perf_counter()
        outputs = model.predict({models.TABLE: table}, model.signature.default_outputs, models.NO_PARAMETERS)
        best_seconds = min(best_seconds, time.perf_counter() - started)
        if best_seconds > 0.1:
            break
    return outputs, best_seconds
