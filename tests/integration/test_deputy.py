"""A tenant who may edit ModelDeployments in one namespace gains nothing else by them (docs/security.md)."""

import asyncio
from pathlib import Path

import pytest

from tests.support import deputy_attempts, deputy_world

FEWEST = 60
NAMES = [
    *deputy_world.creations(),
    *deputy_attempts.CALLS,
    *deputy_world.taken(),
    *deputy_world.forged(),
    deputy_world.TWINS,
]


@pytest.fixture(scope="module")
def wrong(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What went wrong in each attempt."""
    return asyncio.run(deputy_world.make_all(kubeconfig, tmp_path_factory.mktemp("deputy")))


@pytest.mark.parametrize("name", NAMES)
def test_a_tenant_gains_nothing_by(wrong: dict[str, list[str]], name: str) -> None:
    assert wrong[name] == []


def test_there_are_enough_attempts_and_no_two_of_one_name() -> None:
    assert len(NAMES) == len(set(NAMES)) >= FEWEST
