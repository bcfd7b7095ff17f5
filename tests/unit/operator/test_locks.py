"""Which bytes a revision is locked to: what pods tell, what is believed of it, and for how long a pod has fetched."""

import asyncio
import json
from typing import Any

import pytest

from modelyard_operator import durations, failures, fetched, locks, naming, store
from modelyard_operator.objects import Manifest
from tests.support import cluster_counting, cluster_world

DIGEST = "sha256:" + "a" * 64


def record(*variables: str) -> Manifest:
    fetch = {"name": naming.FETCH, "env": [{"name": each} for each in variables]}
    template = {"spec": {"initContainers": [fetch], "containers": []}}
    return {"metadata": {"name": "iris-1"}, "data": {"template": template}}


@pytest.mark.parametrize(
    ("stored", "reads"),
    [
        (record("MODELYARD_MODEL_URI", "MODELYARD_LOCKED_DIGEST"), True),
        (record("MODELYARD_MODEL_URI", "MODELYARD_MODEL_DIGEST"), False),  # pinned, or of an earlier version
        (record(), False),
        ({"data": {"template": {"spec": {"containers": []}}}}, False),
        ({"data": {"template": {"spec": {"initContainers": [{"name": naming.FETCH}]}}}}, False),
    ],
)
def test_a_revision_has_a_lock_when_its_pods_read_one(stored: Manifest, reads: bool) -> None:
    assert locks.is_read(stored) is reads


def told(message: str, exit_code: int = 0) -> Manifest:
    ended = {"exitCode": exit_code, "message": message}
    status = {"initContainerStatuses": [{"name": naming.FETCH, "state": {"terminated": ended}}]}
    return {"metadata": {"name": "pod"}, "status": status}


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (told(json.dumps({"digest": DIGEST, "format": "onnx", "bytes": 7})), fetched.Fetched(DIGEST, "onnx")),
        (told(json.dumps({"digest": DIGEST})), fetched.Fetched(DIGEST)),
        (told(json.dumps({"digest": DIGEST}), exit_code=83), None),
        (told(json.dumps({"digest": DIGEST + "0"})), None),
        (told(json.dumps({"digest": DIGEST, "format": "<b>"})), None),
        (told(json.dumps({"reason": "DigestChanged", "message": DIGEST})), None),
        (told("the last line of a log"), None),
        (told(""), None),
        ({"metadata": {"name": "pod"}}, None),
        ({"metadata": {"name": "pod"}, "status": {"initContainerStatuses": None}}, None),
    ],
)
def test_what_a_pod_has_fetched_is_believed_only_as_the_runtime_says_it(
    pod: Manifest, words: fetched.Fetched | None
) -> None:
    assert fetched.of_pod(pod) == words


SAID = {
    "right away": ("2026-11-24T14:03:25Z", "has been fetching since 14:03:22 UTC"),
    "after ten seconds": (
        "2026-11-24T14:03:33Z",
        "has been fetching for more than 10 seconds (since 14:03:22 UTC)",
    ),
    "between two steps": (
        "2026-11-24T14:06:00Z",
        "has been fetching for more than 2 minutes (since 14:03:22 UTC)",
    ),
    "a day later": ("2026-11-26T14:03:22Z", "has been fetching for more than 1 day (since 14:03:22 UTC)"),
    "by a clock that is behind the node's": ("2026-11-24T14:00:00Z", "has been fetching since 14:03:22 UTC"),
    "without a clock": ("", "has been fetching since 14:03:22 UTC"),
}


@pytest.mark.parametrize("case", SAID)
def test_for_how_long_is_said_in_words_that_stay_true(case: str) -> None:
    now, words = SAID[case]
    assert durations.doing("fetching", {"startedAt": "2026-11-24T14:03:22Z"}, now) == words


@pytest.mark.parametrize(
    "running", [{}, {"startedAt": None}, {"startedAt": "soon"}, {"startedAt": "2026-11-24"}]
)
def test_without_a_beginning_it_is_not_said_for_how_long(running: dict[str, Any]) -> None:
    assert durations.doing("fetching", running, "2026-11-24T14:03:22Z") == "is fetching"


def test_the_step_of_a_pod_that_fetches_names_the_pod_and_the_time() -> None:
    running = {"running": {"startedAt": "2026-11-24T14:03:22Z"}}
    pod = {
        "metadata": {"name": "iris-a", "labels": {naming.LABEL_REVISION: "iris"}},
        "status": {"initContainerStatuses": [{"name": naming.FETCH, "state": running}]},
    }
    said = failures.step("iris", [pod], "2026-11-24T14:05:00Z")
    assert said == "iris-a has been fetching the artifact for more than 1 minute (since 14:03:22 UTC)"


def test_a_pod_that_has_fetched_and_loads_has_not_loaded() -> None:
    for loaded in (True, False):
        pod = {"status": cluster_world.fetched(DIGEST, loaded=loaded)}
        assert fetched.has_loaded(pod) is loaded


async def _ready(*digests: str) -> tuple[cluster_world.World, cluster_counting.Counting]:
    """Have a model that is rolled out, and pods that have fetched these."""
    api = cluster_counting.Counting()
    world = cluster_world.World(api, api, memory=store.Store())
    await world.create(replicas=len(digests))
    await world.converge()
    await world.roll_out()
    await world.converge()
    for digest in digests:
        await world.pod(await world.template_revision(), cluster_world.fetched(digest))
    api.calls = []
    await world.visit()
    return world, api


def test_a_lock_costs_two_writes_once_and_a_settled_model_none() -> None:
    async def story() -> None:
        world, api = await _ready(DIGEST, DIGEST)
        assert api.calls == [
            "apply ControllerRevision",
            "create ConfigMap",
            "write the status",
        ]
        api.calls = []
        await world.visit()
        assert api.calls == []

    asyncio.run(story())


def test_a_pod_is_stopped_only_on_live_reads() -> None:
    async def story() -> None:
        world, api = await _ready(DIGEST, "sha256:" + "b" * 64)
        api.calls = []
        await world.visit()
        assert api.calls.index("list pods") < api.calls.index("stop a pod")

    asyncio.run(story())
