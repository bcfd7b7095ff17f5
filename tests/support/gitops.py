"""What deployment tools make of ModelDeployments: kubectl wait, kstatus (Flux, cli-utils) and Argo CD.

`collect` gives every state in which a tool can meet a ModelDeployment while the scenarios play; `judge` asks the real
libraries about them (devcluster/go/kstatus). `kubectl_would_return` is kubectl's rule in words of our own, which
tests/integration/test_kubectl_wait.py holds against kubectl itself.
"""

import asyncio
import copy
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from devcluster import toolchain
from modelyard_operator import naming
from modelyard_operator.objects import Manifest
from tests.support import cluster_memory, cluster_scenarios, cluster_world

HEALTH_SCRIPT = Path("docs/gitops/health.lua")


class Answer(msgspec.Struct, frozen=True):
    """What the tools say about one object."""

    kstatus: str
    argo: str
    kstatusMessage: str = ""  # noqa: N815 - as it is on the wire
    argoMessage: str = ""  # noqa: N815


class _Recorder(cluster_memory.MemoryCluster):
    """An API in memory that keeps every state a ModelDeployment was ever in."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[Manifest] = []

    async def create(self, plural: str, manifest: Manifest, manager: str = "kubectl") -> Manifest:
        return self._keep(plural, await super().create(plural, manifest, manager))

    async def patch(
        self, plural: str, namespace: str, name: str, patch: dict[str, Any], subresource: str = ""
    ) -> Manifest:
        return self._keep(plural, await super().patch(plural, namespace, name, patch, subresource))

    async def apply_status(self, manifest: Manifest) -> None:
        await super().apply_status(manifest)
        metadata = manifest["metadata"]
        found = await self.read(naming.PLURAL, metadata["namespace"], metadata["name"])
        if found is not None:
            self._keep(naming.PLURAL, found)

    def _keep(self, plural: str, manifest: Manifest) -> Manifest:
        if plural == naming.PLURAL:
            self.states.append(copy.deepcopy(manifest))
        return manifest


def collect() -> list[Manifest]:
    """Give every state of a ModelDeployment in all scenarios, and each again with a newer spec and being deleted."""
    found: dict[str, Manifest] = {}
    for scenario in cluster_scenarios.SCENARIOS.values():
        recorder = _Recorder()
        asyncio.run(scenario(cluster_world.World(recorder, recorder)))
        for state in recorder.states:
            for variant in (state, _changed(state), _deleted(state)):
                # Only what tools look at makes a state: two that differ in pods' names are one.
                found.setdefault(json.dumps(_essence(variant), sort_keys=True), variant)
    return list(found.values())


def judge(objects: Iterable[Manifest]) -> list[Answer]:
    """Give what kstatus and the health script say about each object."""
    program = toolchain.binary("kstatus")
    asked = "".join(json.dumps(each) + "\n" for each in objects)
    answered = subprocess.run(
        [program, HEALTH_SCRIPT], input=asked, capture_output=True, text=True, check=True, timeout=60
    )
    return [msgspec.json.decode(line, type=Answer) for line in answered.stdout.splitlines()]


def kubectl_would_return(manifest: Manifest) -> bool:
    """Says whether `kubectl wait --for=condition=Ready` would return: Ready, and not about an earlier spec."""
    for condition in (manifest.get("status") or {}).get("conditions", ()):
        if condition["type"] == "Ready":
            is_current: bool = condition["observedGeneration"] >= manifest["metadata"]["generation"]
            return condition["status"] == "True" and is_current
    return False


def _changed(state: Manifest) -> Manifest:
    variant = copy.deepcopy(state)
    variant["metadata"]["generation"] += 1
    return variant


def _deleted(state: Manifest) -> Manifest:
    variant = copy.deepcopy(state)
    variant["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return variant


def _essence(state: Manifest) -> Any:
    metadata, status = state["metadata"], state.get("status") or {}
    conditions = [
        (each["type"], each["status"], each["reason"], metadata["generation"] - each["observedGeneration"])
        for each in status.get("conditions", ())
    ]
    behind = metadata["generation"] - status.get("observedGeneration", 0)
    return [conditions, behind if conditions else None, "deletionTimestamp" in metadata]
