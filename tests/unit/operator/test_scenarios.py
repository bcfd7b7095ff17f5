"""The scenarios in memory: milliseconds each; tests/integration/test_scenarios.py has the real API server."""

import asyncio

import pytest

from tests.support import cluster_memory, cluster_scenarios, cluster_world


@pytest.mark.parametrize("sentence", cluster_scenarios.SCENARIOS)
def test_scenario(sentence: str) -> None:
    memory = cluster_memory.MemoryCluster()
    asyncio.run(cluster_scenarios.SCENARIOS[sentence](cluster_world.World(memory, memory)))
