"""State in, state out: what the operator makes of a world.

Each scenario is a sentence and runs in memory (tests/unit/operator) and on a real API server (tests/integration), so
that the API in memory can't drift from the real one. Scenarios assert the state of the world, never the calls that
led to it.
"""

from tests.support.cluster_scenarios import (
    adoption,
    locking,
    locks_lost,
    meddling,
    ownership,
    policy,
    replicas,
    rollback,
    rollout,
    updates,
)
from tests.support.cluster_scenarios.registry import SCENARIOS

__all__ = [
    "SCENARIOS",
    "adoption",
    "locking",
    "locks_lost",
    "meddling",
    "ownership",
    "policy",
    "replicas",
    "rollback",
    "rollout",
    "updates",
]
