"""Whether a change of a spec shows: pictures of children and status, and which changes need not show in them.

Pure. A picture leaves out what differs between two equal resources (UIDs, versions, times) and what follows from the
mere text of a spec (the revision's name), so that a difference means that something was done.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from modelyard_operator import api, naming
from modelyard_operator.objects import Manifest
from tests.support.crd_mutations import Mutation

_OWN = {"labels", "annotations", "name"}
_ALLOCATED = {naming.LABEL_REVISION, "revision", "clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"}
_COUNTED = {
    "observedGeneration",
    "conditions",
    "revision",
    "replicas",
    "readyReplicas",
    "updatedReplicas",
    "url",
}

# Fields whose values say what happens when something fails, or when the operator is upgraded: a change of one shows
# when that happens and not before. Documented so in docs/reference/modeldeployment.md.
SHOWS_LATER: Mapping[str, str] = {
    "spec.rollout.onFailure": "shows when a candidate fails",
    "spec.runtime.updatePolicy": "shows when the administrator changes the runtime's image",
    "spec.revisionHistoryLimit": "shows when there are more revisions than that",
    "spec.paused": "shows when something is held back",
}


class Picture(msgspec.Struct, frozen=True):
    """What there is, flattened: a path to a value as JSON."""

    children: Mapping[str, str]
    status: Mapping[str, str]

    def of_children(self) -> "Picture":
        """Give the same without the status."""
        return Picture(self.children, {})


class Grounds:
    """The pictures of the good specs that mutations are made from."""

    def __init__(self) -> None:
        self._pictures: dict[str, Picture] = {}

    def keep(self, spec: dict[str, Any], found: Picture) -> None:
        """Keep the picture of a good spec, created afresh."""
        self._pictures[json.dumps(spec, sort_keys=True)] = found

    def of(self, spec: dict[str, Any]) -> Picture:
        """Give it back."""
        return self._pictures[json.dumps(spec, sort_keys=True)]


def picture(children: Sequence[Manifest], status: dict[str, Any]) -> Picture:
    """Give the picture of a resource."""
    flat: dict[str, str] = {}
    for child in children:
        kept = {key: value for key, value in child["metadata"].items() if key in _OWN}
        kept.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
        name = f"{child.get('kind') or _kind(child)}/{child['metadata']['name']}"
        _flatten({"metadata": kept, "spec": child.get("spec", {})}, name, flat)
    said = {
        "status.url": str(status.get("url", "")).rpartition(":")[2]
    }  # the port: its host has the namespace
    _flatten({key: value for key, value in status.items() if key not in _COUNTED}, "status", said)
    return Picture(flat, said)


def _kind(child: Manifest) -> str:
    """Tell kinds apart by their spec: items of a list come without it."""
    return "+".join(
        sorted(set(child.get("spec", {})) & {"template", "ports", "scaleTargetRef", "maxUnavailable"})
    )


def _flatten(node: Any, path: str, found: dict[str, str]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in _ALLOCATED:
                _flatten(value, f"{path}.{key}", found)
    elif isinstance(node, list):
        # Merged lists have the order of their history, and merged objects too.
        for item in node:
            key = f"{path}[]{json.dumps(item, sort_keys=True)}"
            found[key] = str(int(found.get(key, "0")) + 1)
    else:
        found[path] = json.dumps(node)


def differences(one: Picture, other: Picture) -> list[str]:
    """Give the first few paths at which two pictures differ."""
    pairs = ((one.children, other.children), (one.status, other.status))
    changed = [
        path for left, right in pairs for path in sorted({*left, *right}) if left.get(path) != right.get(path)
    ]
    return changed[:4]


def need_not_show(mutation: Mutation) -> bool:
    """Say whether a change may be accepted without showing: it means the same as the ground, or it shows later.

    Two specs mean the same when the operator reads them alike, which is a default spelled out or left out: that no
    field is lost in the reading is shown by tests/unit/operator/test_bad_input.py.
    """
    if any(mutation.field.startswith(field) for field in SHOWS_LATER):
        return True
    return bool(_parsed(mutation.ground) == _parsed(mutation.spec))


def _parsed(spec: dict[str, Any]) -> Any:
    metadata = {"namespace": "default", "name": "iris", "uid": "u", "generation": 1}
    return api.parse({"metadata": metadata, "spec": without_nulls(spec)}).spec


def without_nulls(node: Any) -> Any:
    """Give a spec as the API server stores it: it drops nulls."""
    if isinstance(node, dict):
        return {key: without_nulls(value) for key, value in node.items() if value is not None}
    return [without_nulls(item) for item in node] if isinstance(node, list) else node
