"""The lock of a revision: which bytes its pods serve when the author has pinned none (docs/adr/0014).

The first pod of a revision to load fixes its digest. It is kept as a mark on the revision's ControllerRevision, which
is what this operator goes by, and in a ConfigMap, which is what the containers of later pods read. Called by
`decision`, `recovery`, `guard` and `status`. Pure.
"""

from modelyard_operator import adoption, fetched, marks, naming, objects, revisions
from modelyard_operator.desired import lock as config_maps
from modelyard_operator.fetched import Fetched
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed


def is_read(stored: Manifest) -> bool:
    """Says whether the pods of a revision read a lock: not those that are pinned, nor those of earlier versions."""
    containers = stored["data"]["template"]["spec"].get("initContainers") or ()
    return any(
        variable["name"] == naming.ENV_LOCKED_DIGEST
        for container in containers
        if container["name"] == naming.FETCH
        for variable in container.get("env") or ()
    )


def of(stored: Manifest, ours: Observed) -> Fetched | None:
    """Give what a revision is locked to, or is to be from now on; None while none of its pods has loaded.

    The mark decides. Without one, because somebody has deleted the record, what the pods read decides, and then what
    they run. Another image of the same intent is no other model: such a revision takes over the lock.
    """
    if not is_read(stored):
        return None
    found = marks.read_lock(stored) or _in_config_map(objects.name(stored), ours)
    return found or _of_same_intent(stored, ours) or _of_pods(objects.name(stored), ours)


def known(revision: str, ours: Observed) -> Fetched | None:
    """Give what is known of a revision's artifact: what it is locked to, or else what a pod of it has fetched."""
    stored = revisions.find(revision, ours.revisions)
    lock = of(stored, ours) if stored is not None else None
    return lock or _first(pods_of(revision, ours))


def pods_of(revision: str, seen: Observed) -> list[Manifest]:
    """Give a revision's pods, oldest first: of the Deployment's own ReplicaSets, and not being deleted.

    Anybody may give a pod of his own our labels. What such a pod says fixes nothing, and it is never stopped.
    """
    if seen.deployment is None:
        return []
    uid = seen.deployment["metadata"]["uid"]
    ours = {each["metadata"]["uid"] for each in seen.replica_sets if objects.is_owned_by(each, uid)}
    found = [
        pod
        for pod in seen.pods
        if revisions.revision_of(pod) == revision
        and (objects.controller_of(pod) or {}).get("uid") in ours
        and "deletionTimestamp" not in pod["metadata"]
    ]
    return sorted(found, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), objects.name(pod)))


def _in_config_map(revision: str, ours: Observed) -> Fetched | None:
    live = ours.find(Kind.CONFIG_MAP, naming.lock_name(revision))
    return config_maps.read(live) if live is not None and adoption.is_lock_of(revision, live) else None


def _of_same_intent(stored: Manifest, ours: Observed) -> Fetched | None:
    same = (each for each in ours.revisions if each["data"]["intent"] == stored["data"]["intent"])
    newest_first = sorted(same, key=lambda each: (each["revision"], objects.name(each)), reverse=True)
    return next((lock for each in newest_first if (lock := marks.read_lock(each)) is not None), None)


def _of_pods(revision: str, ours: Observed) -> Fetched | None:
    """Give what the oldest pod that has loaded its model has fetched."""
    return _first([pod for pod in pods_of(revision, ours) if fetched.has_loaded(pod)])


def _first(pods: list[Manifest]) -> Fetched | None:
    """Give what the oldest pod that has fetched anything says."""
    found = (fetched.of_pod(pod) for pod in pods)
    return next((each for each in found if each is not None), None)
