"""Turns desired and observed into the writes that are needed, as values that print themselves.

Called by `reconciler`, which executes the plan in its order. Nothing is planned for an object that already is as it
should be; nothing is ever planned against an object that we don't own. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from modelyard_operator import adoption, api, drift, errors, naming, objects
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed

DELETION_POLL_SECONDS = 2.0


class Apply(msgspec.Struct, frozen=True):
    """One server-side apply.

    Attributes:
        manifest: every field that the manager has an opinion on.
        why: the paths that differ; empty when the object has to be created.
        uid: the object that was looked at; the API server refuses when another has taken its place. Empty when there
            was none; the API server refuses when there is one by now.
        version: the resourceVersion that was looked at, when that came from memory; the API server refuses when the
            object has changed since. Empty when it was read live.
        manager: the field manager.
        force: whether to take fields over from other managers.
    """

    manifest: Manifest
    why: tuple[str, ...] = ()
    uid: str = ""
    manager: str = naming.MANAGER
    force: bool = True
    version: str = ""

    def __str__(self) -> str:
        """Give the write for people."""
        if not self.uid:
            return f"create {objects.describe(self.manifest)}"
        more = f" and {len(self.why) - 3} more" if len(self.why) > 3 else ""
        return f"apply {objects.describe(self.manifest)} ({', '.join(self.why[:3])}{more})"


class Delete(msgspec.Struct, frozen=True):
    """One delete of exactly the object that was looked at."""

    kind: Kind
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        """Give the write for people."""
        return f"delete {self.kind.kind} {self.name}"


class StopPod(msgspec.Struct, frozen=True):
    """One delete of a pod that serves what its revision isn't locked to; its ReplicaSet makes another."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        """Give the write for people."""
        return f"stop Pod {self.name} (fetched other bytes than its revision is locked to)"


Action = Apply | Delete | StopPod


def plan(
    identity: api.Identity, wanted: Mapping[Kind, Manifest], seen: Observed, expired: Sequence[Manifest] = ()
) -> tuple[Action, ...]:
    """Give the writes that lead from what was seen to what is wanted, in order.

    What has to go goes first: an autoscaler that is no longer wanted must not answer to the new number of replicas.

    Raises:
        errors.Stalled: NameTaken, when an object of a wanted name belongs to somebody else.
        errors.Waiting: when it belongs to an earlier ModelDeployment of the same name that is still being deleted.
    """
    for kind in wanted:
        if kind in seen.children and not _is_to_keep(identity, seen.children[kind]):
            refuse(identity, seen.children[kind])
    actions: list[Action] = []
    for kind, live in seen.children.items():
        if kind not in wanted and _is_to_keep(identity, live):
            actions.append(_delete(kind, live))
    for kind in Kind:
        if kind in wanted:
            actions.extend(_converge(wanted[kind], seen.children.get(kind), _least(wanted)))
    actions.extend(
        _delete(Kind.CONTROLLER_REVISION, live) for live in expired if objects.is_owned_by(live, identity.uid)
    )
    return tuple(actions)


def converge_revision(wanted: Manifest, live: Manifest | None) -> tuple[Action, ...]:
    """Give the write that stores a revision or its lock, adopts it or changes its marks, if one is needed."""
    return tuple(_converge(wanted, live, least=None))


def refuse(identity: api.Identity, live: Manifest) -> NoReturn:
    """Say why an object of a wanted name can't be used.

    Raises:
        errors.Waiting: it belongs to an earlier ModelDeployment of the same name, or is being deleted.
        errors.Stalled: NameTaken, it belongs to somebody else.
    """
    if objects.is_leaving(live, identity.name):
        raise errors.Waiting(
            "WaitingForDeletion",
            f"{objects.describe(live)} is still being deleted; a new one follows as soon as it is gone.",
            DELETION_POLL_SECONDS,
        )
    raise errors.Stalled(
        "NameTaken",
        f"{objects.describe(live)} exists already and does not belong to this ModelDeployment. It is left as it is."
        " Delete or rename it, or give the ModelDeployment another name.",
    )


def _is_to_keep(identity: api.Identity, live: Manifest) -> bool:
    return adoption.is_ours(live, identity) and "deletionTimestamp" not in live["metadata"]


def _least(wanted: Mapping[Kind, Manifest]) -> int | None:
    """Give the autoscaler's minimum, None when the number of replicas is ours."""
    return wanted[Kind.AUTOSCALER]["spec"]["minReplicas"] if Kind.AUTOSCALER in wanted else None


def _converge(wanted: Manifest, live: Manifest | None, least: int | None) -> list[Action]:
    if live is None:
        return [Apply(wanted)]
    actions: list[Action] = []
    if least is not None and objects.kind_of(wanted) is Kind.DEPLOYMENT:
        actions.extend(_hand_over(wanted, live, least))
    if objects.kind_of(wanted) is Kind.DEPLOYMENT:
        actions.extend(_take_back_strategy(wanted, live))
    why = drift.differences(wanted, live, naming.MANAGER)
    if why:
        actions.append(Apply(wanted, why, uid=live["metadata"]["uid"]))
    return actions


def _hand_over(wanted: Manifest, live: Manifest, least: int) -> list[Action]:
    """Give the writes that let go of spec.replicas without a moment at which nobody owns it.

    A field that its last owner drops falls back to its default, and that is one pod. So the number that is there gets a
    second owner first, which lets go as soon as the autoscaler sets another number. An autoscaler ignores a Deployment
    with 0 replicas, so a stopped one is started with the minimum it was meant to have.
    """
    replicas = live["spec"].get("replicas", 1)
    holders = drift.owners(live, "spec", "replicas")
    if replicas > 0 and (naming.MANAGER not in holders or holders > {naming.MANAGER}):
        return []
    metadata = {"name": live["metadata"]["name"], "namespace": live["metadata"]["namespace"]}
    number = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": metadata,
        "spec": {"replicas": replicas or least},
    }
    # Not forced unless it starts a stopped model: when somebody has set another number since, it is theirs already.
    return [
        Apply(
            number, ("spec.replicas",), live["metadata"]["uid"], naming.HANDOVER_MANAGER, force=replicas == 0
        ),
    ]


def _take_back_strategy(wanted: Manifest, live: Manifest) -> list[Action]:
    """Give the write that makes a rolling update's parameters ours alone, when they have to go and others own some.

    An apply removes only what nobody else owns, and the API server refuses Recreate beside what is left. So what was
    applied before is applied once more, with numbers that aren't there yet: these get no other owner.
    """
    there = live["spec"].get("strategy", {}).get("rollingUpdate") or {}
    path = ("spec", "strategy", "rollingUpdate")
    is_to_go = "rollingUpdate" not in wanted["spec"].get("strategy", {})
    if not is_to_go or all(drift.owners(live, *path, field) == {naming.MANAGER} for field in there):
        return []
    numbers = {
        "maxUnavailable": 1 if there.get("maxUnavailable") == 0 else 0,
        "maxSurge": 2 if there.get("maxSurge") == 1 else 1,
    }
    applied = drift.applied(live, naming.MANAGER)
    identity = {key: wanted["metadata"][key] for key in ("name", "namespace")}
    again = {
        **applied,
        "metadata": {**applied.get("metadata", {}), **identity},
        "spec": {**applied.get("spec", {}), "strategy": {"type": "RollingUpdate", "rollingUpdate": numbers}},
    }
    why = tuple(".".join((*path, field)) for field in sorted(there))
    return [Apply(again, why, uid=live["metadata"]["uid"])]


def _delete(kind: Kind, live: Manifest) -> Delete:
    metadata = live["metadata"]
    return Delete(kind=kind, namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])
