"""What people and their tools do in a story: change the spec, delete, create again, meddle with children, take names.

Used by `adversary`. The specs come from a small palette that holds everything which changes what the operator does.
"""

import random
from typing import Any

from modelyard_operator import errors, naming, objects, spec
from modelyard_operator.objects import Kind, Manifest
from tests.simulation import oracle
from tests.simulation.world import RESOURCE, USER, World

_SIZES: tuple[dict[str, Any], ...] = (
    {},
    {"replicas": 2},
    {"replicas": 3},
    {"autoscaling": {"minReplicas": 2, "maxReplicas": 4}},
)
_GOOD = ("s3://models/iris/one", "s3://models/iris/two", "s3://models/iris/three")
_BAD = ("s3://models/iris/bad", "s3://models/iris/stuck")
_SINGLE = (Kind.SERVICE, Kind.DEPLOYMENT, Kind.AUTOSCALER, Kind.DISRUPTION_BUDGET)
_HAS_ROLLOUT = "rollout" in spec.Spec.__struct_fields__


def edit(world: World, draw: random.Random) -> None:
    """The author changes the spec; now and then into something that can't work."""
    if world.resource() is None:
        recreate(world, draw)
        return
    patch = _change(draw)
    world.say(f"the author sets {patch}")
    world.api.patch_now(RESOURCE, {"spec": patch}, USER)


def delete(world: World, draw: random.Random) -> None:
    """The author deletes the resource, in the background, in the foreground, or so that its children stay."""
    if world.resource() is None:
        return
    how = draw.choice(["background", "background", "foreground", "orphan"])
    world.say(f"the author deletes the resource ({how})")
    if how == "foreground":
        patch = {"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}}
        world.api.patch_now(RESOURCE, patch, USER)
        return
    body = world.resource() or {}
    world.api.remove_now(RESOURCE)
    if how == "orphan":
        for name, stored in list(world.api.objects.items()):
            if objects.is_owned_by(stored.manifest, body["metadata"]["uid"]):
                orphan: dict[str, Any] = {"metadata": {"ownerReferences": None}}
                world.api.patch_now(name, orphan, ("kube-controller-manager", "Update", ""))


def recreate(world: World, draw: random.Random) -> None:
    """The author creates the resource, if need be in place of one that he deletes."""
    if world.resource() is not None:
        if draw.random() < 0.7:
            return
        delete(world, draw)
        if world.resource() is not None:
            return
    size = draw.choice(_SIZES)
    uri = draw.choice(_GOOD + _BAD[:1])
    world.say(f"the author creates the resource with {size} and {uri}")
    body = {
        "apiVersion": naming.API_VERSION,
        "kind": naming.KIND,
        "metadata": {"name": "iris", "namespace": "default"},
        "spec": {"model": {"uri": uri}, **size},
    }
    world.api.create_now(naming.PLURAL, body)


def spoil(world: World, draw: random.Random) -> None:
    """Somebody changes a child by hand, or a tool puts its mark on it."""
    kind = draw.choice(_SINGLE)
    live = world.api.find(kind.plural, "iris")
    if live is None:
        return
    choices: list[dict[str, Any]] = [
        {"metadata": {"labels": {naming.LABEL_INSTANCE: None}}},
        {"metadata": {"labels": {naming.LABEL_MANAGED_BY: "me"}}},  # and no watch tells of it any more
        {"metadata": {"annotations": {oracle.FOREIGN + draw.choice("abc"): "here"}}},
        {"metadata": {"annotations": {oracle.FOREIGN + draw.choice("abc"): "here"}}},
        *_SPOILS[kind],
    ]
    patch = draw.choice(choices)
    if (
        kind is Kind.AUTOSCALER
        and objects.controller_of(live) is None
        and "labels" in patch.get("metadata", {})
    ):
        return  # an orphan without our labels is anybody's autoscaler, and would fight for the number for ever
    world.say(f"somebody sets {patch} on the {kind.kind}")
    try:
        world.api.patch_now((kind.plural, "default", "iris"), patch, USER)
    except errors.ClusterError as refusal:
        world.say(f"    and is refused: {refusal}")


def remove_child(world: World, draw: random.Random) -> None:
    """Somebody deletes a child, or a revision, or a ReplicaSet."""
    names = sorted(
        name
        for name, stored in world.api.objects.items()
        if name[0] not in (naming.PLURAL, "pods") and objects.controller_of(stored.manifest) is not None
    )
    if not names:
        return
    name = draw.choice(names)
    if name[0] == "deployments" and draw.random() < 0.3:
        world.say("somebody deletes the Deployment in the foreground")
        patch = {"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}}
        world.api.patch_now(name, patch, USER)
        return
    world.say(f"somebody deletes {name[0]} {name[2]}")
    world.api.remove_now(name)


def occupy(world: World, draw: random.Random) -> None:
    """Somebody else creates an object under a name that a child has."""
    kind = draw.choice(_SINGLE)
    if world.api.find(kind.plural, "iris") is None:
        world.say(f"somebody else creates a {kind.kind} iris")
        world.api.create_now(kind.plural, _foreign(kind))


def publish(world: World, draw: random.Random) -> None:
    """Somebody puts another model where one was."""
    uri = draw.choice(_GOOD)
    world.say(f"somebody puts other bytes at {uri}")
    world.api.published[uri] = world.api.published.get(uri, 0) + 1


def vacate(world: World, draw: random.Random) -> None:
    """Whatever somebody else has created goes."""
    for name, stored in list(world.api.objects.items()):
        if is_foreign(stored.manifest):
            world.say(f"the other {name[0]} {name[2]} goes")
            world.api.remove_now(name)


def remove_stray_autoscaler(world: World) -> None:
    """An autoscaler that has lost its owner and our labels goes: it and a fixed number would take turns for ever."""
    name = (Kind.AUTOSCALER.plural, "default", "iris")
    found = world.api.find(name[0], name[2])
    if found is not None and is_unmarked_orphan(found):
        world.say("the autoscaler that is nobody's goes")
        world.api.remove_now(name)


def is_unmarked_orphan(manifest: Manifest) -> bool:
    """Say whether an object has neither an owner nor all of our labels: it may be anybody's."""
    labels = manifest["metadata"].get("labels") or {}
    is_marked = naming.child_labels("iris").items() <= labels.items()
    return objects.controller_of(manifest) is None and not is_marked


def is_foreign(manifest: Manifest) -> bool:
    """Say whether an object is one that `occupy` has made."""
    return (manifest["metadata"].get("annotations") or {}).get("owner") == "somebody-else"


def _change(draw: random.Random) -> dict[str, Any]:
    changes: list[dict[str, Any]] = [
        {"model": {"uri": draw.choice(_GOOD)}},
        {"model": {"uri": draw.choice(_GOOD)}},
        {"model": {"uri": draw.choice(_BAD)}},
        {"replicas": draw.randint(0, 4), "autoscaling": None},
        {"replicas": draw.randint(2, 4), "autoscaling": None},
        {
            "replicas": None,
            "autoscaling": {"minReplicas": 2, "maxReplicas": draw.choice([2, 4]), "metrics": None},
        },
        {"service": {"port": draw.choice([80, 8000])}},
        {"runtime": {"logLevel": draw.choice(["info", "debug"]), "class": None}},
        {"paused": draw.random() < 0.5},
        {"paused": None},
        draw.choice(_INVALID),
        _REPAIR,
    ]
    if _HAS_ROLLOUT:
        changes += [
            {"rollout": {"onFailure": draw.choice(["Hold", "Rollback"])}},
            {"rollout": {"strategy": draw.choice(["Rolling", "Recreate"])}},
        ]
    return draw.choice(changes)


_INVALID: tuple[dict[str, Any], ...] = (
    {"model": {"uri": "ftp://models/iris"}},
    {"runtime": {"class": "gpu"}},
    {"pod": {"labels": {"app": "x"}}},
    {"service": {"annotations": {"app": "x"}}},
    {"replicas": None, "autoscaling": {"maxReplicas": 3, "metrics": [{"type": "Nonsense"}]}},
    {"replicas": "two"},
)
_REPAIR: dict[str, Any] = {
    "model": {"uri": _GOOD[0]},
    "runtime": None,
    "pod": None,
    "service": None,
    "replicas": 2,
    "autoscaling": None,
    "paused": None,
}
_SPOILS: dict[Kind, list[dict[str, Any]]] = {
    Kind.SERVICE: [{"spec": {"selector": {naming.LABEL_INSTANCE: "other"}}}, {"spec": {"type": "NodePort"}}],
    Kind.DEPLOYMENT: [
        {"spec": {"replicas": 5}},
        {"spec": {"replicas": 0}},
        {"spec": {"template": {"spec": {"enableServiceLinks": True}}}},
        {"spec": {"template": {"metadata": {"annotations": {oracle.FOREIGN + "x": "y"}}}}},
        {"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}},
    ],
    Kind.AUTOSCALER: [{"spec": {"maxReplicas": 9}}],
    Kind.DISRUPTION_BUDGET: [{"spec": {"maxUnavailable": 2}}],
}


def _foreign(kind: Kind) -> Manifest:
    labels = {"app": "other"}
    specs: dict[Kind, dict[str, Any]] = {
        Kind.SERVICE: {"ports": [{"port": 5432, "protocol": "TCP"}], "selector": labels},
        Kind.DEPLOYMENT: {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": "web"}]},
            },
        },
        Kind.AUTOSCALER: {"maxReplicas": 7, "scaleTargetRef": {"kind": "Deployment", "name": "other"}},
        Kind.DISRUPTION_BUDGET: {"maxUnavailable": 3, "selector": {"matchLabels": labels}},
    }
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": "iris",
            "namespace": "default",
            "annotations": {"owner": "somebody-else"},
        },
        "spec": specs[kind],
    }
