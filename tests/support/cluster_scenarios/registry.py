"""Where scenarios register under their sentence."""

from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.cluster_world import World

Scenario = Callable[[World], Coroutine[Any, Any, None]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(sentence: str) -> Callable[[Scenario], Scenario]:
    """Register a scenario under its sentence."""

    def register(function: Scenario) -> Scenario:
        SCENARIOS[sentence] = function
        return function

    return register
