"""Inference and readiness without transport.

`loading` fills it, `http` asks it. It knows named arrays and models, no bytes and no status codes. Everything here runs
on the event loop, save the model's own predict when it is slow (`dispatching`).
"""

import dataclasses

from modelyard_runtime import dispatching, drift, errors, lifecycle, metrics, scheduling, settings
from modelyard_runtime.acceleration import description as descriptions
from modelyard_runtime.artifact import manifest as manifests
from modelyard_runtime.formats import model as models


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A model that is loaded and warmed, and where it came from."""

    model: models.Model
    manifest: manifests.Manifest
    cost: scheduling.Cost
    load_seconds: float
    acceleration: descriptions.Acceleration | None = None


class Service:
    """The one model of this process."""

    def __init__(
        self,
        model_name: str,
        counters: metrics.Metrics,
        batch_max_size: int = settings.DEFAULT_BATCH_MAX_SIZE,
    ) -> None:
        self.model_name = model_name
        self.stage = lifecycle.Stage.LOADING
        self._served: Served | None = None
        self._dispatcher: dispatching.Dispatcher | None = None
        self._drift = drift.Drift(models.Signature())
        self._batch_max_size = batch_max_size
        self._metrics = counters

    def enter(self, stage: lifecycle.Stage) -> None:
        """Moves to a stage; a step the lifecycle doesn't allow is a programming error."""
        if not lifecycle.is_allowed(self.stage, stage):
            raise RuntimeError(f"{self.stage.value} can't become {stage.value}")
        self.stage = stage
        self._metrics.set_ready(stage is lifecycle.Stage.READY)

    def serve(self, served: Served) -> None:
        """Makes the model the one that answers."""
        self._served = served
        self._dispatcher = dispatching.Dispatcher(
            served.model, served.cost, self._batch_max_size, self._metrics
        )
        self._drift = drift.Drift(served.model.signature)
        self._metrics.watch(self._drift.figures)
        self._metrics.describe_model(
            self.model_name, served.model, served.manifest.digest, served.load_seconds
        )
        self.enter(lifecycle.Stage.READY)

    @property
    def is_ready(self) -> bool:
        """Says whether new traffic should come to this process."""
        return self.stage is lifecycle.Stage.READY

    @property
    def is_pod_ready(self) -> bool:
        """Says whether new traffic should come to this pod: every worker has to be ready."""
        return self._metrics.all_ready

    @property
    def served(self) -> Served:
        """The model; raises `NotReady` while there is none. A draining process still has it."""
        if self._served is None:
            raise errors.NotReady(f"the model is not ready: {self.stage.value}")
        return self._served

    def require_model(self) -> None:
        """Raises `NotReady` while there is no model."""
        _ = self.served

    async def predict(self, request: models.Request) -> models.Tensors:
        """Gives the wanted outputs.

        Raises `InvalidInput`, `ModelFailed`, `Overloaded`, `DeadlineExceeded` or `NotReady`.
        """
        return await self._way_of(request).predict(request)

    def submit(self, request: models.Request, answer: dispatching.Answer) -> dispatching.Pending:
        """Brings a request to the model and gives its place in the queue, for `withdraw`.

        Raises `Overloaded`, `DeadlineExceeded` or `NotReady`; everything else reaches `answer`.
        """
        return self._way_of(request).submit(request, answer)

    def withdraw(self, pending: dispatching.Pending) -> None:
        """Takes a request out of the queue whose answer nobody waits for."""
        if self._dispatcher is not None:
            self._dispatcher.withdraw(pending)

    def _way_of(self, request: models.Request) -> dispatching.Dispatcher:
        """Notes what is asked and gives who answers it."""
        if self._dispatcher is None:
            raise errors.NotReady(f"the model is not ready: {self.stage.value}")
        table = request.inputs.get(models.TABLE)
        if table is not None:
            self._drift.observe(table)
        return self._dispatcher
