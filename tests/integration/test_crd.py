"""The CRD on a real API server: what it lets through, what it refuses, and in which words."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from modelyard_operator import naming
from tests.support import cluster_apiserver, cluster_specs

COLLECTION = f"/apis/{naming.API_VERSION}/namespaces/default/{naming.PLURAL}"


def dry_run(kubeconfig: Path, spec: Any, name: str = "iris") -> tuple[int, str]:
    """Give the status and the message of creating a resource without keeping it."""

    async def create() -> tuple[int, str]:
        async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
            body = {
                "apiVersion": naming.API_VERSION,
                "kind": naming.KIND,
                "metadata": {"name": name},
                "spec": spec,
            }
            path = f"{COLLECTION}?dryRun=All&fieldValidation=Strict"
            status, answer = await backend.request("POST", path, body)
            return status, str(answer.get("message", ""))

    return asyncio.run(create())


@pytest.mark.parametrize("sentence", cluster_specs.GOOD)
def test_a_good_spec_is_let_through(kubeconfig: Path, sentence: str) -> None:
    assert dry_run(kubeconfig, cluster_specs.GOOD[sentence]) == (201, "")


@pytest.mark.parametrize("sentence", cluster_specs.BAD)
def test_a_bad_spec_is_refused_with_the_field_and_the_remedy(kubeconfig: Path, sentence: str) -> None:
    spec, words = cluster_specs.BAD[sentence]
    status, message = dry_run(kubeconfig, spec)
    assert status == 422
    assert words in message


@pytest.mark.parametrize("name", cluster_specs.BAD_NAMES)
def test_a_bad_name_is_refused(kubeconfig: Path, name: str) -> None:
    status, message = dry_run(kubeconfig, cluster_specs.spec(), name)
    assert status == 422
    assert cluster_specs.BAD_NAMES[name] in message


def test_a_misspelt_field_is_named(kubeconfig: Path) -> None:
    status, message = dry_run(kubeconfig, cluster_specs.spec(replica=2))
    assert status == 400
    assert 'unknown field "spec.replica"' in message
