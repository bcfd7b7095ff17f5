"""Every pod that the operator asks for is admitted under Pod Security "restricted", and nothing is warned of."""

import asyncio
import functools
import json
import os
from pathlib import Path
from typing import Any

import hypothesis
import msgspec

from modelyard_operator import api, connection, revisions
from modelyard_operator.desired import pod
from modelyard_operator.objects import Manifest
from tests.support import cluster_apiserver, cluster_strategies, cluster_world

FEWEST = 200
_WARN = {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "restricted"}}}


@functools.cache
def rendered() -> list[Manifest]:
    """Give the pods of some hundred specs, no two alike."""
    found: dict[str, Manifest] = {}

    @hypothesis.given(cluster_strategies.SPECS)
    @hypothesis.settings(max_examples=2 * FEWEST, derandomize=True, deadline=None, database=None)
    def collect(spec: dict[str, Any]) -> None:
        metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
        model_deployment = api.parse({"metadata": metadata, "spec": spec})
        template = pod.render(model_deployment, revisions.name(model_deployment), cluster_world.SETTINGS)
        body = {"metadata": {"name": "iris", **template["metadata"]}, "spec": template["spec"]}
        found[json.dumps(body, sort_keys=True)] = body

    collect()
    return list(found.values())


async def refusals(kubeconfig: Path, namespace: str, pods: list[Manifest]) -> list[str]:
    """Give what the API server has against each pod, empty when it is admitted without a word."""
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.make_namespace(namespace)
        path = f"/api/v1/namespaces/{namespace}"
        await backend.must("PATCH", path, _WARN, "application/merge-patch+json")
    link = await connection.open_connection({**os.environ, "KUBECONFIG": str(kubeconfig)})
    try:
        said = []
        for body in pods:
            async with link.session.post(f"{link.server}{path}/pods?dryRun=All", json=body) as answer:
                refusal = "" if answer.status == 201 else await answer.text()
                said.append(refusal or "; ".join(answer.headers.getall("Warning", [])))
        return said
    finally:
        await link.close()


def test_pods_of_all_sorts_are_admitted_without_a_warning(kubeconfig: Path) -> None:
    pods = rendered()
    assert len(pods) >= FEWEST
    assert [said for said in asyncio.run(refusals(kubeconfig, "pod-security", pods)) if said] == []


def test_a_pod_that_is_not_restricted_would_be_told(kubeconfig: Path) -> None:
    good = rendered()[0]
    loose = msgspec.json.decode(msgspec.json.encode(good))
    del loose["spec"]["containers"][0]["securityContext"]
    assert "violates PodSecurity" in asyncio.run(refusals(kubeconfig, "pod-security-loose", [loose]))[0]
