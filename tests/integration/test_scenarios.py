"""The scenarios of the unit tests on a real API server: what the in-memory cluster claims is true."""

import pytest

from tests.integration.conftest import Run
from tests.support import cluster_scenarios


@pytest.mark.parametrize("sight", ["live", "remembered"])
@pytest.mark.parametrize("sentence", cluster_scenarios.SCENARIOS)
def test_scenario(in_world: Run, sentence: str, sight: str) -> None:
    in_world(cluster_scenarios.SCENARIOS[sentence], remembers=sight == "remembered")
