"""The scenarios in memory: milliseconds each; tests/integration/test_scenarios.py has the real API server."""

import asyncio

import pytest

from modelyard_operator import store
from tests.support import cluster_memory, cluster_scenarios, cluster_world


@pytest.mark.parametrize("sight", ["live", "remembered"])
@pytest.mark.parametrize("sentence", cluster_scenarios.SCENARIOS)
def test_scenario(sentence: str, sight: str) -> None:
    api = cluster_memory.MemoryCluster()
    memory = store.Store() if sight == "remembered" else None
    asyncio.run(cluster_scenarios.SCENARIOS[sentence](cluster_world.World(api, api, memory=memory)))
