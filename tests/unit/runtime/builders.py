"""Signatures, models and a served application, made up for the unit tests of the runtime."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np

from modelyard_runtime import lifecycle, metrics, scheduling, service
from modelyard_runtime.artifact import manifest as manifests
from modelyard_runtime.formats import model as models
from modelyard_runtime.http import app, gate, guard

MANIFEST = manifests.Manifest(
    uri="s3://models/m/model.joblib", digest="sha256:" + "a" * 64, path="content/model.joblib", bytes=7
)


def numbers(count: int, allows_missing: bool = False) -> models.Signature:
    """Takes `count` unnamed numbers."""
    features = tuple(models.Feature(f"x{index}", models.Kind.NUMBER) for index in range(count))
    return models.Signature(features=features, allows_missing=allows_missing)


def named(**kinds: models.Kind) -> models.Signature:
    """Takes features by name."""
    return models.Signature(
        features=tuple(models.Feature(name, kind) for name, kind in kinds.items()), is_named=True
    )


PEOPLE = named(age=models.Kind.NUMBER, city=models.Kind.TEXT)
DOCUMENTS = models.Signature(features=(models.Feature("text", models.Kind.TEXT),), takes_documents=True)

# Takes named tensors: a batch of vectors and a state that may be left out, and heeds a seed.
RECURRENT = models.Signature(
    inputs=(models.TensorSpec("x", "FP32", (-1, 3)), models.TensorSpec("h", "FP32", (-1, 2))),
    optional=frozenset({"h"}),
    outputs=(models.TensorSpec("y", "FP32", (-1, 2)), models.TensorSpec("h_next", "FP32", (-1, 2))),
    parameters={"seed": "of the noise"},
)


FREE = scheduling.Cost(0.0, 0.0)


class FakeModel:
    """A model that gives the sum of each row, or whatever `predict` says."""

    format = "sklearn"
    engine = "scikit-learn"

    def __init__(
        self, signature: models.Signature, predict: Callable[[models.Table], Any] | None = None
    ) -> None:
        self.signature = signature
        self.versions: Mapping[str, str] = {"scikit-learn": "1.9.1"}
        self.warnings: tuple[str, ...] = ()
        self._predict = predict or (lambda table: table.sum(axis=1))
        self.seen: list[models.Table] = []

    def predict(
        self, inputs: models.Tensors, wanted: frozenset[str], parameters: Mapping[str, models.Scalar]
    ) -> models.Tensors:
        """Remembers the table and answers."""
        table = inputs[models.TABLE] if models.TABLE in inputs else next(iter(inputs.values()))
        self.seen.append(table)
        return {name: np.asarray(self._predict(table)) for name in wanted}


def predict(model: models.Model, table: models.Table, output: str = models.PREDICTION) -> Any:
    """One output of a model for a table."""
    return model.predict({models.TABLE: table}, frozenset({output}), models.NO_PARAMETERS)[output]


def served(
    model: FakeModel | None,
    cost: scheduling.Cost = FREE,
    max_body_bytes: int = 10_000,
    rules: gate.Rules = app.EVERYBODY,
) -> tuple[guard.Guard, service.Service]:
    """An application that serves `model`, or that is still loading."""
    counters = metrics.Metrics()
    inference = service.Service("m", counters)
    guarded = app.create_app(inference, counters, max_body_bytes, "9.9.9", rules)
    if model is not None:
        inference.enter(lifecycle.Stage.WARMING)
        inference.serve(service.Served(model, MANIFEST, cost, 0.5))
    return guarded, inference


def request(application: Any, method: str, path: str, **kwargs: Any) -> httpx.Response:
    """One request to an application in this process."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **kwargs)

    return asyncio.run(send())


def post_json(application: Any, path: str, body: bytes) -> httpx.Response:
    """One JSON request to an application in this process."""
    return request(application, "POST", path, content=body, headers={"content-type": "application/json"})
