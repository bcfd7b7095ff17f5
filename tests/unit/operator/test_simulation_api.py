"""The fast API of the simulation is the API in memory: the same scenarios, and random histories played on both."""

import asyncio
import copy
import random
from collections.abc import Callable
from typing import Any

import pytest

from modelyard_operator import errors, naming, plan
from modelyard_operator.objects import Manifest
from tests.simulation import api
from tests.support import cluster_memory, cluster_scenarios, cluster_world

SERVICE = ("services", "default", "iris")
HISTORIES = 150
_MORE: list[Callable[[str], dict[str, Any]]] = [
    lambda _: {},
    lambda app: {"selector": {"app": app}},
    lambda _: {"type": "NodePort"},
]
_PORT_NAMES: list[dict[str, Any]] = [{}, {"name": "http"}, {"name": "grpc"}]


@pytest.mark.parametrize("sentence", cluster_scenarios.SCENARIOS)
def test_the_scenarios_hold_on_the_fast_api(sentence: str) -> None:
    fast = api.FastCluster()
    asyncio.run(cluster_scenarios.SCENARIOS[sentence](cluster_world.World(fast, fast)))


def _service(draw: random.Random) -> Manifest:
    """Give a manifest with a little of everything that field ownership has rules for."""
    ports: list[dict[str, Any]] = [
        {"port": port, "protocol": "TCP", **draw.choice(_PORT_NAMES)}
        for port in draw.sample([80, 443, 8080], draw.randint(1, 3))
    ]
    labels = {key: draw.choice("xy") for key in draw.sample(["a", "b", "c"], draw.randint(0, 3))}
    spec: dict[str, Any] = {"ports": ports, **draw.choice(_MORE)(draw.choice("xy"))}
    metadata: dict[str, Any] = {"name": "iris", "namespace": "default"}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _patch(draw: random.Random) -> dict[str, Any]:
    """Give a merge patch that sets and removes what applies also set."""
    value = draw.choice(["x", "z", None])
    return draw.choice(
        [
            {"metadata": {"labels": {draw.choice("bad"): value}}},
            {"metadata": {"labels": None}},
            {"spec": {"selector": {"app": value}}},
            {"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "mine"}]}},
            {"status": {"loadBalancer": {}}},
        ]
    )


async def _play(cluster: cluster_memory.MemoryCluster | api.FastCluster, seed: int) -> list[Any]:
    """Play one history and give what every step answered."""
    draw = random.Random(seed)
    answers: list[Any] = []
    for _ in range(12):
        kind, force, manager = draw.random(), draw.random() < 0.7, draw.choice([naming.MANAGER, "other"])
        manifest, patch, uid = _service(draw), _patch(draw), draw.choice(["", "", "wrong"])
        live = await cluster.read(*SERVICE)
        try:
            if kind < 0.6:
                action = plan.Apply(
                    manifest, uid=uid or (live or {"metadata": {"uid": ""}})["metadata"]["uid"]
                )
                answers.append(await cluster.apply(_with(action, manager, force=force)))
            elif live is None:
                answers.append(await cluster.create("services", manifest))
            elif kind < 0.95:
                answers.append(await cluster.patch(*SERVICE, patch))
            else:
                await cluster.remove(*SERVICE)
        except errors.ClusterError as error:
            answers.append(error.status)
        answers.append(copy.deepcopy(await cluster.read(*SERVICE)))
    return answers


def _with(action: plan.Apply, manager: str, *, force: bool) -> plan.Apply:
    return plan.Apply(action.manifest, action.why, action.uid, manager, force)


def _comparable(answers: list[Any]) -> list[Any]:
    """Leave out what counts writes, and the order of managers and of items that have a key."""
    kept: list[Any] = []
    for answer in answers:
        if not isinstance(answer, dict):
            kept.append(answer)
            continue
        bare = copy.deepcopy(answer)
        metadata = bare["metadata"]
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            metadata.pop(field)
        metadata["managedFields"] = sorted(metadata["managedFields"], key=str)
        kept.append(bare)
    return kept


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_random_histories_of_applies_and_edits_come_out_the_same(seed: int) -> None:
    slow = asyncio.run(_play(cluster_memory.MemoryCluster(), seed))
    fast = asyncio.run(_play(api.FastCluster(), seed))
    assert _comparable(fast) == _comparable(slow)
