"""Inference and readiness without transport.

`loading` fills it, `http` asks it. It knows named arrays and models, no bytes and no status codes. Everything here runs
on the event loop, save the model's own predict when it is slow (`scheduling`).
"""

import dataclasses
import functools
import time

from modelyard_runtime import errors, lifecycle, metrics, scheduling
from modelyard_runtime.artifact import manifest as manifests
from modelyard_runtime.formats import model as models

MAX_WAITING = 128  # predictions queued for the worker thread: at 100 ms each, 13 s of work


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A model that is loaded and warmed, and where it came from."""

    model: models.Model
    manifest: manifests.Manifest
    cost: scheduling.Cost
    load_seconds: float


class Service:
    """The one model of this process."""

    def __init__(self, model_name: str, counters: metrics.Metrics) -> None:
        self.model_name = model_name
        self.stage = lifecycle.Stage.LOADING
        self._served: Served | None = None
        self._cost = scheduling.UNKNOWN
        self._worker = scheduling.Worker(MAX_WAITING)
        self._metrics = counters

    def enter(self, stage: lifecycle.Stage) -> None:
        """Moves to a stage; a step the lifecycle doesn't allow is a programming error."""
        if not lifecycle.is_allowed(self.stage, stage):
            raise RuntimeError(f"{self.stage.value} can't become {stage.value}")
        self.stage = stage
        self._metrics.ready.set(1 if stage is lifecycle.Stage.READY else 0)

    def serve(self, served: Served) -> None:
        """Makes the model the one that answers."""
        self._served = served
        self._cost = served.cost
        self._metrics.load_seconds.set(served.load_seconds)
        self._metrics.describe_model(self.model_name, served.model, served.manifest.digest)
        self.enter(lifecycle.Stage.READY)

    @property
    def is_ready(self) -> bool:
        """Says whether new traffic should come here."""
        return self.stage is lifecycle.Stage.READY

    @property
    def served(self) -> Served:
        """The model; raises `NotReady` while there is none. A draining process still has it."""
        if self._served is None:
            raise errors.NotReady(f"the model is not ready: {self.stage.value}")
        return self._served

    async def predict(self, request: models.Request) -> models.Tensors:
        """Gives the wanted outputs.

        Raises `InvalidInput`, `ModelFailed`, `Overloaded` or `NotReady`.
        """
        model = self.served.model
        rows = request.rows
        # A job in the thread is ahead of this one: running inline as well would only make the two share the time.
        if self._worker.waiting == 0 and self._cost.is_inline(rows):
            return self._timed(model, request, "inline")
        self._metrics.queue.inc()
        try:
            job = functools.partial(self._timed, model, request, "worker")
            result: models.Tensors = await self._worker.run(job, self._cost.estimate(rows))
            return result
        finally:
            self._metrics.queue.dec()

    def _timed(self, model: models.Model, request: models.Request, mode: str) -> models.Tensors:
        started = time.perf_counter()
        result = model.predict(request.inputs, request.wanted, request.parameters)
        seconds = time.perf_counter() - started
        self._metrics.predict_seconds.labels(mode).observe(seconds)
        self._metrics.rows.inc(request.rows)
        self._cost = scheduling.updated(self._cost, request.rows, seconds)
        return result
