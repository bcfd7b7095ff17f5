"""Whose an object is: ours, an orphan of ours that may be adopted, or somebody else's, which is never touched.

`kubectl delete --cascade=orphan` leaves the children without an owner and their pods serving; creating the resource
again takes them back without a restart. Used by `plan`, `decision` and `visit`. Pure.

An orphan's labels and its field manager's name can be forged by whoever may write such an object, and nothing is
gained by it: what is adopted is brought to what we would have made, and who may write it could do so anyway. Not so a
ControllerRevision, because its template decides what runs: see `is_adoptable`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelyard_operator import api, drift, naming, objects, revisions
from modelyard_operator.objects import Kind, Manifest
from modelyard_operator.observed import Observed


def is_ours(manifest: Manifest, identity: api.Identity) -> bool:
    """Says whether an object belongs to a ModelDeployment: by its owner, or as an orphan that may be adopted."""
    return objects.is_owned_by(manifest, identity.uid) or is_orphan(manifest, identity.name)


def is_orphan(manifest: Manifest, name: str) -> bool:
    """Says whether an object without a controller is one that we made for a ModelDeployment of that name."""
    metadata = manifest["metadata"]
    return (
        objects.controller_of(manifest) is None
        and "deletionTimestamp" not in metadata
        and naming.child_labels(name).items() <= (metadata.get("labels") or {}).items()
        and bool(drift.owned_fields(manifest, naming.MANAGER))
    )


def ours(seen: Observed, identity: api.Identity) -> Observed:
    """Give what was seen without what belongs to others: it says nothing about us."""
    children = {kind: child for kind, child in seen.children.items() if is_ours(child, identity)}
    only = msgspec.structs.replace(seen, children=children)
    known = (
        each
        for each in seen.revisions
        if revisions.is_readable(each)
        and (
            objects.is_owned_by(each, identity.uid)
            or (is_orphan(each, identity.name) and _runs_already(each, only.deployment))
        )
    )
    return msgspec.structs.replace(only, revisions=tuple(known))


def is_lock_of(revision: str, manifest: Manifest) -> bool:
    """Says whether a ConfigMap is one that we made as the lock of a revision, by its present record or a lost one."""
    if revisions.revision_of(manifest) != revision or not drift.owned_fields(manifest, naming.MANAGER):
        return False
    controller = objects.controller_of(manifest)
    return controller is None or (
        controller.get("kind") == Kind.CONTROLLER_REVISION.kind and controller.get("name") == revision
    )


def is_adoptable(stored: Manifest, seen: Observed, identity: api.Identity, data: Mapping[str, Any]) -> bool:
    """Says whether the orphaned revision that is wanted may be taken back; `data` is what we would render now.

    Its template is trusted when our Deployment runs it already, or when we would render the very same. Anything else
    could be a template of somebody's own making, with another image or without the limits of ours.
    """
    return (
        is_orphan(stored, identity.name)
        and revisions.is_readable(stored)
        and stored["data"]["intent"] == data["intent"]
        and (stored["data"] == data or _runs_already(stored, ours(seen, identity).deployment))
    )


def _runs_already(stored: Manifest, deployment: Manifest | None) -> bool:
    """Says whether a Deployment runs exactly the template of a ControllerRevision, as we have applied it."""
    if deployment is None:
        return False
    template = {"spec": {"template": stored["data"]["template"]}}
    paths = drift.differences(template, deployment, naming.MANAGER)
    return not any(path == "spec" or path.startswith("spec.template") for path in paths)
