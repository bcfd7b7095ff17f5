"""Revisions: immutable snapshots of what the author asked to run, and which of them serves.

A revision is named by a hash of the author's intent only (model, resources, runtime, access, validation, pod): neither
the operator's version nor its configuration is in it. Its ControllerRevision keeps the pod template as it was rendered
when the revision was first seen, and that template is applied as it stands for ever: an operator upgrade restarts
nothing (docs/adr/0004). Used by `reconciler`, `desired` and `status`. Pure.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from modelyard_operator import api, naming, objects
from modelyard_operator import spec as specs
from modelyard_operator.objects import Manifest
from modelyard_operator.observed import Observed


class _Container(msgspec.Struct, frozen=True):
    name: str
    image: str


class _Variable(msgspec.Struct, frozen=True):
    name: str


class _InitContainer(msgspec.Struct, frozen=True):
    name: str
    env: list[_Variable] = []


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    containers: list[_Container]
    init_containers: list[_InitContainer] = []


class _ObjectMeta(msgspec.Struct, frozen=True):
    labels: dict[str, str]


class _Template(msgspec.Struct, frozen=True):
    metadata: _ObjectMeta
    spec: _PodSpec


class _Intent(msgspec.Struct, frozen=True):
    model: dict[str, Any]


class _Data(msgspec.Struct, frozen=True):
    """As much of a ControllerRevision's data as is read of it."""

    intent: _Intent
    template: _Template


def intent(model_deployment: api.ModelDeployment) -> dict[str, Any]:
    """Give what makes a revision: fields at their default left out, so that spelling a default out changes nothing.

    The resource's name belongs to it because the name of the revision is cut for long names and must stay unique. When
    a newer image is adopted is no part of it: saying so must not restart anything.
    """
    spec = model_deployment.spec
    runtime = msgspec.structs.replace(spec.runtime, update_policy="Manual")
    parts = {
        "model": spec.model,
        "resources": spec.resources,
        "runtime": runtime,
        "access": spec.access,
        "validation": spec.validation,
        "pod": spec.pod,
    }
    built = {key: msgspec.to_builtins(part) for key, part in parts.items()}
    if not built["runtime"].get("batching"):
        built["runtime"].pop("batching", None)  # `batching: {}` asks for nothing
    return {"name": model_deployment.identity.name, **{key: part for key, part in built.items() if part}}


def asked_for(identity: api.Identity, stored: Manifest) -> api.ModelDeployment | None:
    """Give what a stored revision asks for, as far as it makes a revision; None when it can't be read."""
    asked = {key: part for key, part in stored["data"]["intent"].items() if key != "name"}
    try:
        return api.ModelDeployment(identity=identity, spec=msgspec.convert(asked, specs.Spec))
    except msgspec.ValidationError:
        return None


def name(model_deployment: api.ModelDeployment, image: str = "") -> str:
    """Give the name of the revision that a ModelDeployment asks for, or of the same with another runtime image."""
    hashed = intent(model_deployment) | ({"image": image} if image else {})
    canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return naming.revision_name(model_deployment.identity.name, digest)


def of_intent(model_deployment: api.ModelDeployment, stored: Sequence[Manifest]) -> list[Manifest]:
    """Give the stored revisions of a ModelDeployment's present intent: several when it has adopted newer images."""
    asked = intent(model_deployment)
    return [manifest for manifest in stored if (manifest.get("data") or {}).get("intent") == asked]


def is_readable(stored: Manifest) -> bool:
    """Says whether a ControllerRevision holds what ours hold; anybody may have written one under our name."""
    try:
        msgspec.convert(stored.get("data"), _Data)
    except msgspec.ValidationError:
        return False
    return True


def find(revision: str, stored: Sequence[Manifest]) -> Manifest | None:
    """Give the ControllerRevision of that name, if it is among those stored."""
    return next((manifest for manifest in stored if manifest["metadata"]["name"] == revision), None)


def number(revision: str, stored: Sequence[Manifest]) -> int:
    """Give the place of a revision in the history: the newest wanted has the highest number, also on a way back."""
    numbers = {manifest["metadata"]["name"]: manifest["revision"] for manifest in stored}
    highest = max(numbers.values(), default=0)
    return highest if numbers.get(revision) == highest else highest + 1


def expired(
    kept: Collection[str], limit: int, stored: Sequence[Manifest], replica_sets: Sequence[Manifest]
) -> tuple[Manifest, ...]:
    """Give the ControllerRevisions beyond the history limit, oldest first; never those to keep or one with pods."""
    in_use = {revision_of(replica_set) for replica_set in replica_sets if _count(replica_set, "replicas")}
    by_age = sorted(stored, key=lambda manifest: (manifest["revision"], manifest["metadata"]["name"]))
    surplus = by_age[: max(0, len(by_age) - limit)]
    return tuple(manifest for manifest in surplus if manifest["metadata"]["name"] not in {*in_use, *kept})


def revision_of(labelled: Mapping[str, Any]) -> str:
    """Give the revision that an object or a pod template is labelled with, empty when it isn't."""
    return str((labelled["metadata"].get("labels") or {}).get(naming.LABEL_REVISION, ""))


def deployed(seen: Observed) -> str:
    """Give the revision that the Deployment runs now, empty without a Deployment."""
    return revision_of(seen.deployment["spec"]["template"]) if seen.deployment else ""


class Running(msgspec.Struct, frozen=True):
    """The pods of one revision."""

    revision: str
    ready: int
    replicas: int


def running(seen: Observed) -> tuple[Running, ...]:
    """Give the pods per revision, of the Deployment's own ReplicaSets only; several of one revision are summed up."""
    if seen.deployment is None:
        return ()
    totals: dict[str, Running] = {}
    for replica_set in seen.replica_sets:
        if not objects.is_owned_by(replica_set, seen.deployment["metadata"]["uid"]):
            continue
        revision = revision_of(replica_set)
        before = totals.get(revision, Running(revision, 0, 0))
        totals[revision] = Running(
            revision,
            ready=before.ready + _count(replica_set, "readyReplicas"),
            replicas=before.replicas + _count(replica_set, "replicas"),
        )
    return tuple(totals[revision] for revision in sorted(totals))


class Roles(msgspec.Struct, frozen=True):
    """Which revision serves, and which is on its way to replace it; either may be missing."""

    stable: str = ""
    candidate: str = ""


def roles(wanted: str, seen: Observed) -> Roles:
    """Give the roles, from the cluster alone: no memory and no earlier status takes part.

    The wanted revision is stable as soon as the Deployment controller has called its rollout complete, and stays so
    while its pods come and go. Until then it is the candidate, beside the other revision with the most ready pods.
    """
    if is_complete(wanted, seen):
        return Roles(stable=wanted)
    others = [other for other in running(seen) if other.revision != wanted and other.replicas]
    best = max(others, key=lambda other: (other.ready, other.replicas, other.revision), default=None)
    return Roles(stable=best.revision if best else "", candidate=wanted)


def is_complete(revision: str, seen: Observed) -> bool:
    """Says whether the Deployment controller has seen the newest Deployment and finished rolling out that revision."""
    return _progress(revision, seen) == "NewReplicaSetAvailable"


def is_late(revision: str, seen: Observed) -> bool:
    """Says whether the Deployment controller has given up on a revision that the Deployment runs."""
    return _progress(revision, seen) == "ProgressDeadlineExceeded"


def _progress(revision: str, seen: Observed) -> str:
    """Give what the Deployment controller says about its rollout of that revision, empty when nothing.

    After a change it may repeat for a moment what it said about another ReplicaSet, so its message counts as well.
    """
    deployment = seen.deployment
    if deployment is None or not is_observed(deployment) or deployed(seen) != revision:
        return ""
    others = (objects.name(each) for each in seen.replica_sets if revision_of(each) != revision)
    stale = {f'ReplicaSet "{other}"' for other in others}
    for condition in deployment["status"].get("conditions") or ():
        if condition["type"] == "Progressing" and not condition.get("message", "").startswith(tuple(stale)):
            return str(condition.get("reason", ""))
    return ""


def is_observed(deployment: Manifest) -> bool:
    """Says whether the Deployment's status speaks of its present spec."""
    seen = (deployment.get("status") or {}).get("observedGeneration", 0)
    return bool(seen >= deployment["metadata"]["generation"])


def _count(workload: Manifest, field: str) -> int:
    return int((workload.get("status") or {}).get(field) or 0)
