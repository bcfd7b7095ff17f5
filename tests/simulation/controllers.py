"""Kubernetes' own controllers and the kubelet, one small step at a time, on the fast API.

Called by `adversary`, which decides when they get to move, and by `world` to let everything come to rest. They follow
the documented behaviour of Deployments (maxSurge 1, maxUnavailable 0, or Recreate), HorizontalPodAutoscalers and
garbage collection. Whether a pod becomes ready is written in the model's address: "bad" fails to load, "stuck" never
answers. What a pod fetches is what `FastCluster.published` says at that moment; `fetching` plays that part of it.
"""

import hashlib
import json
from typing import Any

import msgspec

from modelyard_operator import naming, objects
from modelyard_operator.objects import Kind, Manifest
from tests.simulation import api, fetching

CONTROLLER = ("kube-controller-manager", "Update", "status")
SCALER = ("kube-controller-manager", "Update", "scale")
KUBELET = ("kubelet", "Update", "status")
_FAILED_LOAD = json.dumps({"reason": "LoadFailed", "message": "not a model", "stage": "Loading"})


def owned(cluster: api.FastCluster, plural: str, uid: str) -> list[Manifest]:
    """Give the objects of a kind whose controller has that UID, by name."""
    found = [
        stored.manifest
        for name, stored in cluster.objects.items()
        if name[0] == plural and objects.is_owned_by(stored.manifest, uid)
    ]
    return sorted(found, key=lambda manifest: str(manifest["metadata"]["name"]))


def move_deployment(cluster: api.FastCluster, name: str, *, is_late: bool = False) -> None:
    """Let the Deployment controller look once: it makes or scales ReplicaSets, then tells what it sees."""
    deployment = cluster.find("deployments", name)
    if deployment is None:
        return
    if "deletionTimestamp" in deployment["metadata"]:
        return
    new = _new_replica_set(cluster, deployment)
    uid = deployment["metadata"]["uid"]
    old = [each for each in owned(cluster, "replicasets", uid) if _name(each) != _name(new)]
    if deployment["spec"].get("strategy", {}).get("type") == "Recreate":
        _recreate(cluster, deployment, new, old)
    else:
        _roll(cluster, deployment, new, old)
    _tell(cluster, deployment, _name(new), is_late=is_late)


def move_pods(cluster: api.FastCluster, name: str, *, ready: bool = True) -> None:
    """Let the ReplicaSet controller and the kubelet look once: pods come, start, get ready or fail, and go."""
    for replica_set in list(cluster.selected("replicasets", "default", name)):
        pods = owned(cluster, "pods", replica_set["metadata"]["uid"])
        surplus = len(pods) - replica_set["spec"]["replicas"]
        for pod in sorted(pods, key=is_ready)[: max(0, surplus)]:
            cluster.remove_now(("pods", "default", _name(pod)))
        for _ in range(-surplus):
            _make_pod(cluster, replica_set)
        for pod in pods[max(0, surplus) :] if ready else ():
            if cluster.find("pods", _name(pod)) is not None:
                _run(cluster, pod)
        _count(cluster, replica_set)


def scale(cluster: api.FastCluster, name: str, replicas: int | None = None) -> bool:
    """Let the HorizontalPodAutoscaler choose a number; without one it only keeps to its bounds. Say if it did."""
    autoscaler = cluster.find(Kind.AUTOSCALER.plural, name)
    deployment = cluster.find("deployments", name)
    if autoscaler is None or deployment is None or deployment["spec"]["replicas"] == 0:
        return False
    bounds = autoscaler["spec"]
    if bounds["scaleTargetRef"]["name"] != name:
        return False
    now = deployment["spec"]["replicas"]
    chosen = min(max(replicas or now, bounds.get("minReplicas", 1)), bounds["maxReplicas"])
    if chosen == now:
        return False
    cluster.patch_now(("deployments", "default", name), {"spec": {"replicas": chosen}}, SCALER)
    return True


def collect_garbage(cluster: api.FastCluster, limit: int = 1000) -> int:
    """Remove objects whose owners are gone, and owners that waited for their children; give how many."""
    alive = {stored.manifest["metadata"]["uid"] for stored in cluster.objects.values()}
    leaving = {
        stored.manifest["metadata"]["uid"]
        for stored in cluster.objects.values()
        if "deletionTimestamp" in stored.manifest["metadata"]
    }
    going = []
    for key, stored in cluster.objects.items():
        metadata = stored.manifest["metadata"]
        owners = {reference["uid"] for reference in metadata.get("ownerReferences") or ()}
        is_orphan = bool(owners) and not owners & (alive - leaving)
        waits = any(_has_owner(each.manifest, metadata["uid"]) for each in cluster.objects.values())
        if is_orphan or (metadata["uid"] in leaving and not waits):
            going.append(key)
    for key in going[:limit]:
        cluster.remove_now(key)
    return len(going[:limit])


def is_complete(deployment: Manifest) -> bool:
    """Say whether the Deployment controller has called the rollout complete."""
    stated = (deployment.get("status") or {}).get("conditions", ())
    return any(each["reason"] == "NewReplicaSetAvailable" for each in stated)


def _roll(cluster: api.FastCluster, deployment: Manifest, new: Manifest, old: list[Manifest]) -> None:
    wanted = deployment["spec"]["replicas"]
    total = sum(each["spec"]["replicas"] for each in (new, *old))
    size = new["spec"]["replicas"]
    if size > wanted:
        _resize(cluster, new, wanted)
    elif size < wanted and (room := min(wanted - size, wanted + 1 - total)) > 0:
        _resize(cluster, new, size + room)
    new = cluster.find("replicasets", _name(new)) or new
    unready = new["spec"]["replicas"] - _ready(new)
    total = sum(each["spec"]["replicas"] for each in (new, *old))
    may_go = total - wanted - max(0, unready)
    # Old pods that serve nobody go first, as in Kubernetes.
    for each in sorted(old, key=_ready):
        count = min(each["spec"]["replicas"], max(0, may_go))
        if count:
            _resize(cluster, each, each["spec"]["replicas"] - count)
            may_go -= count


def _recreate(cluster: api.FastCluster, deployment: Manifest, new: Manifest, old: list[Manifest]) -> None:
    for each in old:
        if each["spec"]["replicas"]:
            _resize(cluster, each, 0)
    if not any(owned(cluster, "pods", each["metadata"]["uid"]) for each in old):
        _resize(cluster, new, deployment["spec"]["replicas"])


def _new_replica_set(cluster: api.FastCluster, deployment: Manifest) -> Manifest:
    template = deployment["spec"]["template"]
    suffix = hashlib.sha1(msgspec.json.encode(template), usedforsecurity=False).hexdigest()[:8]
    found = cluster.find("replicasets", f"{_name(deployment)}-{suffix}")
    if found is not None and objects.is_owned_by(found, deployment["metadata"]["uid"]):
        return found
    if found is not None:  # of an earlier Deployment: garbage that is in the way
        cluster.remove_now(("replicasets", "default", _name(found)))
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": _name(deployment), "controller": True}
    labels = {**(template["metadata"].get("labels") or {}), "pod-template-hash": suffix}
    body = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{_name(deployment)}-{suffix}",
            "namespace": "default",
            "labels": labels,
            "ownerReferences": [{**owner, "uid": deployment["metadata"]["uid"]}],
        },
        "spec": {"replicas": 0, "template": template},
    }
    return cluster.create_now("replicasets", body, CONTROLLER[0])


def _tell(cluster: api.FastCluster, seen: Manifest, new: str, *, is_late: bool) -> None:
    wanted = seen["spec"]["replicas"]
    every = owned(cluster, "replicasets", seen["metadata"]["uid"])
    current = next(each for each in every if _name(each) == new)
    running = sum(_replicas(each) for each in every)
    done = _replicas(current) == wanted == running == _ready(current)
    before = (seen.get("status") or {}).get("conditions") or [{}]
    same = before[0].get("message") == new
    if done or (same and before[0].get("reason") == "NewReplicaSetAvailable"):
        reason = "NewReplicaSetAvailable"  # stays so until there is another ReplicaSet
    elif is_late or (same and before[0].get("reason") == "ProgressDeadlineExceeded"):
        reason = "ProgressDeadlineExceeded"
    else:
        reason = "ReplicaSetUpdated"
    progressing = {
        "type": "Progressing",
        "status": "False" if reason == "ProgressDeadlineExceeded" else "True",
        "reason": reason,
        "message": new,
    }
    status = {
        "observedGeneration": seen["metadata"]["generation"],
        "replicas": running,
        "updatedReplicas": _replicas(current),
        "readyReplicas": sum(_ready(each) for each in every),
        "conditions": [progressing],
    }
    cluster.patch_now(("deployments", "default", _name(seen)), {"status": status}, CONTROLLER)


def _make_pod(cluster: api.FastCluster, replica_set: Manifest) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": _name(replica_set), "controller": True}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{_name(replica_set)}-{cluster.version}",
            "namespace": "default",
            "labels": replica_set["metadata"]["labels"],
            "ownerReferences": [{**owner, "uid": replica_set["metadata"]["uid"]}],
        },
        "spec": replica_set["spec"]["template"]["spec"],
        "status": {"phase": "Pending"},
    }
    cluster.create_now("pods", body, CONTROLLER[0])


def _run(cluster: api.FastCluster, pod: Manifest) -> None:
    """Bring one pod one step further."""
    told = fetching.told(pod)
    if told is None:
        status = fetching.fetch(cluster, pod)
    else:
        status = {**pod["status"], "phase": "Running", "containerStatuses": [_serve(cluster, pod, told)]}
    if status != pod["status"]:
        cluster.patch_now(("pods", "default", _name(pod)), {"status": status}, KUBELET)


def _serve(cluster: api.FastCluster, pod: Manifest, digest: str) -> Manifest:
    """Give the status of the container that serves; which bytes it may serve, it reads when it is started."""
    uri = fetching.uri(pod)
    serving: dict[str, Any] = {
        "name": naming.SERVE,
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": {"running": {}},
    }
    before = (pod["status"].get("containerStatuses") or [serving])[0]
    lock = None if before["ready"] else fetching.lock(cluster, pod)
    if "bad" in uri or lock not in (None, digest):
        message = _FAILED_LOAD if "bad" in uri else fetching.CHANGED
        ended = {"exitCode": 66, "message": message, "reason": "Error"}
        loop = {"waiting": {"reason": "CrashLoopBackOff"}}
        serving |= {"restartCount": 1, "state": loop, "lastState": {"terminated": ended}}
    elif "stuck" not in uri:
        serving |= {"ready": True, "started": True}
    return serving


def _count(cluster: api.FastCluster, replica_set: Manifest) -> None:
    pods = owned(cluster, "pods", replica_set["metadata"]["uid"])
    status = {"replicas": len(pods), "readyReplicas": sum(is_ready(pod) for pod in pods)}
    if status != replica_set.get("status"):
        cluster.patch_now(("replicasets", "default", _name(replica_set)), {"status": status}, CONTROLLER)


def _resize(cluster: api.FastCluster, replica_set: Manifest, replicas: int) -> None:
    if replica_set["spec"]["replicas"] != replicas:
        patch = {"spec": {"replicas": replicas}}
        cluster.patch_now(("replicasets", "default", _name(replica_set)), patch, CONTROLLER)


def is_ready(pod: Manifest) -> bool:
    """Say whether a pod is ready."""
    stated = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return bool(stated[0].get("ready"))


def _ready(replica_set: Manifest) -> int:
    return int((replica_set.get("status") or {}).get("readyReplicas") or 0)


def _replicas(replica_set: Manifest) -> int:
    return int((replica_set.get("status") or {}).get("replicas") or 0)


def _has_owner(manifest: Manifest, uid: str) -> bool:
    return any(reference["uid"] == uid for reference in manifest["metadata"].get("ownerReferences") or ())


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])
