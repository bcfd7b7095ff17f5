"""kubectl itself waits as `gitops.kubectl_would_return` says, on every state that the scenarios produce."""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

from devcluster import toolchain
from modelyard_operator import naming
from modelyard_operator.objects import Manifest
from tests.support import cluster_apiserver, cluster_world, gitops

NAMESPACE = "kubectl-wait"


def test_kubectl_returns_for_what_is_ready_at_its_present_generation(kubeconfig: Path) -> None:
    stored = asyncio.run(store(kubeconfig, [state for state in gitops.collect() if not is_deleting(state)]))
    expected = {each["metadata"]["name"] for each in stored if gitops.kubectl_would_return(each)}
    assert 0 < len(expected) < len(stored)
    wait = ["wait", naming.PLURAL, "--all", "--for=condition=Ready", "--timeout=0", "-n", NAMESPACE]
    said = subprocess.run(
        [toolchain.binary("kubectl"), "--kubeconfig", kubeconfig, *wait],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    met = set(re.findall(r"/(state-\d+) condition met", said.stdout))
    not_met = set(re.findall(r"/(state-\d+)", said.stderr))
    assert met | not_met == {each["metadata"]["name"] for each in stored}, said.stderr
    assert met == expected


def is_deleting(state: Manifest) -> bool:
    return "deletionTimestamp" in state["metadata"]


async def store(kubeconfig: Path, states: list[Manifest]) -> list[Manifest]:
    """Put the states into a real API server; give them as it has them."""
    async with cluster_apiserver.connect(kubeconfig) as (backend, _cluster):
        await backend.make_namespace(NAMESPACE)
        for number, state in enumerate(states):
            name = f"state-{number}"
            spec = {"model": cluster_world.MODEL}
            body = {
                "apiVersion": naming.API_VERSION,
                "kind": naming.KIND,
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": spec,
            }
            await backend.create(naming.PLURAL, body)
            status = at_first_generation(state.get("status") or {})
            if status.get("conditions"):
                await backend.patch(naming.PLURAL, NAMESPACE, name, {"status": status}, "status")
            if state["metadata"]["generation"] > (state.get("status") or {}).get("observedGeneration", 0):
                await backend.patch(naming.PLURAL, NAMESPACE, name, {"spec": {"replicas": 7}})
        return await backend.listed(naming.PLURAL, NAMESPACE)


def at_first_generation(value: Any) -> Any:
    """Give a status as it would be about the first generation, which is what a new object has."""
    if isinstance(value, dict):
        return {
            key: 1 if key == "observedGeneration" else at_first_generation(inner)
            for key, inner in value.items()
        }
    return [at_first_generation(each) for each in value] if isinstance(value, list) else value
