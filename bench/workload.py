"""What the operator is given to do, and the same result made by kubectl to compare with.

Used by `measures`. The ModelDeployment is the smallest there is; its children are a Deployment, a Service and a
ControllerRevision.
"""

import asyncio
import json
import subprocess
import time
from pathlib import Path

from bench import board, rig
from devcluster import toolchain
from modelyard_operator import naming
from modelyard_operator.objects import Manifest
from tests.support import cluster_apiserver

NAMESPACE = "bench"
_CREATORS = 16
# What the API server adds, or only makes sense where it was: the owner lives in another cluster.
_SET_BY_SERVER = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "uid",
)
_KINDS = {
    "controllerrevisions": ("apps/v1", "ControllerRevision"),
    "deployments": ("apps/v1", "Deployment"),
    "services": ("v1", "Service"),
}


def names(count: int) -> list[str]:
    """Give the names of the ModelDeployments."""
    return [f"model-{number:05d}" for number in range(count)]


async def create(cluster: rig.Rig, wanted: list[str]) -> None:
    """Create ModelDeployments as fast as sixteen connections allow."""
    waiting = iter(wanted)

    async def work() -> None:
        for name in waiting:
            await cluster.backend.create(naming.PLURAL, _model_deployment(name))

    await asyncio.gather(*(work() for _ in range(_CREATORS)))


async def change_model(cluster: rig.Rig, name: str, version: int) -> None:
    """Point a ModelDeployment to another artifact: a new revision, and a rollout of its pods."""
    patch = {"spec": {"model": {"uri": f"s3://models/{name}/{version}.joblib"}}}
    await cluster.backend.patch(naming.PLURAL, NAMESPACE, name, patch)


async def finished_children(cluster: rig.Rig) -> list[Manifest]:
    """Read back what the operator made, without what the API server added."""
    found: list[Manifest] = []
    for plural in board.CHILDREN:
        api_version, kind = _KINDS[plural]
        path = f"{cluster_apiserver.GROUPS[plural]}/namespaces/{NAMESPACE}/{plural}?limit=500"
        token = ""
        while True:
            page = await cluster.backend.must("GET", f"{path}&continue={token}" if token else path)
            found += [_stripped(item, api_version, kind) for item in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                break
    # In the order in which a person would have written them: one model after the other.
    return sorted(found, key=lambda each: each["metadata"]["labels"]["app.kubernetes.io/instance"])


async def apply_with_kubectl(cluster: rig.Rig, children: list[Manifest], timeout_seconds: float) -> float:
    """Let kubectl apply finished children; give the seconds it takes.

    Raises:
        RuntimeError: kubectl failed or took too long; with its words.
    """
    path = cluster.folder / "children.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": children}))
    return await asyncio.to_thread(_apply, cluster.kubeconfig, path, timeout_seconds)


def _apply(kubeconfig: Path, path: Path, timeout_seconds: float) -> float:
    kubectl = str(toolchain.binary("kubectl"))
    command = [kubectl, f"--kubeconfig={kubeconfig}", "apply", "--server-side", f"--filename={path}"]
    start = time.monotonic()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout_seconds, start_new_session=True
    )
    if done.returncode:
        raise RuntimeError(f"kubectl apply failed: {done.stderr[-500:]}")
    return time.monotonic() - start


def _model_deployment(name: str) -> Manifest:
    return {
        "apiVersion": naming.API_VERSION,
        "kind": naming.KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"model": {"uri": f"s3://models/{name}/0.joblib", "format": "sklearn"}},
    }


def _stripped(item: Manifest, api_version: str, kind: str) -> Manifest:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _SET_BY_SERVER}
    # The Deployment controller's own mark.
    metadata.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
    kept = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    if kind == "Service":
        kept["spec"] = {
            key: value for key, value in kept["spec"].items() if key not in ("clusterIP", "clusterIPs")
        }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **kept}
