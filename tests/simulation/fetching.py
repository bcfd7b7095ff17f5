"""The part of a pod's life that locks are about: what it fetches, what it may serve, what it tells of it.

Called by `controllers` for the kubelet and by `rest` for the verdict. Nothing of the operator's own code is used but
the names on the wire.
"""

import hashlib
import json
from typing import Any

from modelyard_operator import naming
from modelyard_operator.objects import Manifest
from tests.simulation import api

CHANGED = json.dumps({"reason": "DigestChanged", "message": "other bytes", "stage": "Verifying"})


def uri(pod: Manifest) -> str:
    """Give the address that a pod fetches from."""
    return str((_variable(pod, naming.ENV_MODEL_URI) or {}).get("value", ""))


def digest(cluster: api.FastCluster, address: str) -> str:
    """Give the digest of what is behind an address now."""
    content = f"{address} {cluster.published.get(address, 0)}"
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def lock(cluster: api.FastCluster, pod: Manifest) -> str | None:
    """Give what a container that is started now reads of its lock; None when there is none."""
    variable = _variable(pod, naming.ENV_LOCKED_DIGEST)
    if variable is None:
        return None
    reference = variable["valueFrom"]["configMapKeyRef"]
    found = cluster.find("configmaps", reference["name"])
    return None if found is None else (found.get("data") or {}).get(reference["key"])


def fetch(cluster: api.FastCluster, pod: Manifest) -> dict[str, Any]:
    """Give the status of a pod that has tried to fetch."""
    fetched, wanted = digest(cluster, uri(pod)), lock(cluster, pod)
    status: dict[str, Any] = {"name": naming.FETCH, "ready": False, "restartCount": 0}
    if wanted not in (None, fetched):
        ended = {"exitCode": 83, "message": CHANGED, "reason": "Error"}
        loop = {"waiting": {"reason": "CrashLoopBackOff"}}
        status |= {"restartCount": 1, "state": loop, "lastState": {"terminated": ended}}
    else:
        message = json.dumps({"digest": fetched, "format": "sklearn", "bytes": 7})
        ended = {"exitCode": 0, "message": message, "reason": "Completed"}
        status |= {"ready": True, "state": {"terminated": ended}}
    return {**pod["status"], "phase": "Pending", "initContainerStatuses": [status]}


def told(pod: Manifest) -> str | None:
    """Give the digest of what a pod has fetched; None before it has."""
    for status in pod["status"].get("initContainerStatuses") or ():
        ended = status["state"].get("terminated") or {}
        if status["name"] == naming.FETCH and ended.get("exitCode") == 0:
            return str(json.loads(ended["message"])["digest"])
    return None


def _variable(pod: Manifest, name: str) -> Manifest | None:
    for container in pod["spec"].get("initContainers", ()):
        for variable in container.get("env", ()):
            if variable["name"] == name:
                found: Manifest = variable
                return found
    return None
