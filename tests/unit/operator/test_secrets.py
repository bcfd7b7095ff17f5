"""No secret in what the operator writes: status, Events, logs; wherever the secret came from."""

import asyncio
import json
import logging
from typing import Any

import pytest

from modelyard_operator import errors, logs, metrics, naming, reconciler, recorder
from modelyard_operator.objects import Manifest
from tests.support import cluster_memory, cluster_world

CANARY = "c4n4ry-s3cr3t"
URIS = (
    f"https://user:{CANARY}@models.example.com/iris.joblib",
    f"https://{CANARY}@models.example.com/iris.joblib",
    f"https://models.example.com/iris.joblib?X-Amz-Signature={CANARY}",
    f"s3://models/iris.joblib?X-Amz-Security-Token={CANARY}&x=1",
    f"gs://models/iris.joblib?X-Goog-Signature={CANARY}",
)
WORDS = (
    f"GET https://user:{CANARY}@models.example.com/iris.joblib: 403",
    f"fetch failed: https://models.example.com/x?sig={CANARY}",
    f"Traceback: AWS_SECRET_ACCESS_KEY={CANARY} is no key",
    f"Authorization: Bearer {CANARY}",
)


class Ear(logging.Handler):
    """Keeps every line as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logs.JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Overheard:
    """A world of which everything that the operator says is kept."""

    def __init__(self, memory: cluster_memory.MemoryCluster) -> None:
        self.world = cluster_world.World(memory, memory)
        self.ear = Ear()
        self.events: list[Manifest] = []

        async def create_event(manifest: Manifest) -> None:
            self.events.append(manifest)

        teller = recorder.Recorder(create_event, metrics.Metrics(), "pod-1", lambda: "now")
        self.world.reconciler = reconciler.Reconciler(
            memory, cluster_world.SETTINGS, self.world._now, recorder=teller
        )

    async def said(self) -> str:
        resource = await self.world.backend.read(naming.PLURAL, "default", "iris")
        assert resource is not None
        return "\n".join([json.dumps(resource["status"]), json.dumps(self.events), *self.ear.lines])

    async def visit(self) -> None:
        outcome = await self.world.visit()
        if outcome is not None:
            # As the queue would log it.
            logging.getLogger("modelyard_operator.workqueue").error(
                "ended", extra={"error": str(outcome)}, exc_info=outcome
            )


@pytest.fixture
def overheard() -> Any:
    heard = Overheard(cluster_memory.MemoryCluster())
    root = logging.getLogger("modelyard_operator")
    level = root.level
    root.addHandler(heard.ear)
    root.setLevel(logging.DEBUG)
    yield heard
    root.removeHandler(heard.ear)
    root.setLevel(level)


@pytest.mark.parametrize("uri", URIS)
def test_a_uri_that_an_older_crd_let_in(overheard: Overheard, uri: str) -> None:
    async def story() -> str:
        await overheard.world.create(model={"uri": uri})
        await overheard.visit()
        return await overheard.said()

    said = asyncio.run(story())
    assert CANARY not in said
    assert "SpecInvalid" in said


@pytest.mark.parametrize("uri", URIS)
def test_the_uri_of_a_revision_from_before_it_was_refused(overheard: Overheard, uri: str) -> None:
    async def story() -> str:
        world = overheard.world
        await world.create()
        await world.converge()
        (stored,) = await world.backend.listed("controllerrevisions", "default")
        patch = {"data": {"intent": {"model": {"uri": uri}}}}
        await world.backend.patch("controllerrevisions", "default", stored["metadata"]["name"], patch)
        await world.roll_out()
        await overheard.visit()
        return await overheard.said()

    said = asyncio.run(story())
    assert CANARY not in said
    assert "***" in said


@pytest.mark.parametrize("words", WORDS)
def test_a_pods_last_words(overheard: Overheard, words: str) -> None:
    async def story() -> str:
        world = overheard.world
        await world.create()
        await world.converge()
        deployment = await world.deployment()
        revision = deployment["spec"]["template"]["metadata"]["labels"][naming.LABEL_REVISION]
        await world.roll_out({revision: (0, 1)}, complete=False)
        ended = {
            "exitCode": 1,
            "reason": "Error",
            "message": words,
            "startedAt": "2026-02-01T00:00:00Z",
            "finishedAt": "2026-02-01T00:00:01Z",
        }
        waiting = {"reason": "CrashLoopBackOff", "message": f"back-off: {words}"}
        container = {
            "name": naming.SERVE,
            "ready": False,
            "restartCount": 5,
            "image": "x",
            "imageID": "x",
            "state": {"waiting": waiting},
            "lastState": {"terminated": ended},
        }
        await world.pod(revision, {"phase": "Running", "containerStatuses": [container]})
        await overheard.visit()
        return await overheard.said()

    said = asyncio.run(story())
    assert CANARY not in said
    assert "***" in said


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("status", [500, 422])
def test_the_api_servers_own_words(overheard: Overheard, words: str, status: int) -> None:
    async def story() -> str:
        async def refuse(_action: Any) -> Any:
            raise errors.ClusterError("apply Service default/iris", status, words)

        memory = overheard.world.cluster
        memory.apply = refuse  # type: ignore[method-assign, assignment]
        await overheard.world.create()
        await overheard.visit()
        return await overheard.said()

    said = asyncio.run(story())
    assert CANARY not in said
    assert "***" in said
