"""The ControllerRevision that keeps what a revision asked for and the pod template it was rendered into. Pure."""

from collections.abc import Mapping
from typing import Any

from modelyard_operator import api, objects
from modelyard_operator.desired import meta
from modelyard_operator.objects import Kind, Manifest


def build(
    identity: api.Identity, name: str, data: Mapping[str, Any], number: int, marks: Mapping[str, str]
) -> Manifest:
    """Give the ControllerRevision; its data can never change, its number is its place in the history.

    The marks are its annotations: an apply has to hold all that are to stay.
    """
    metadata = meta.build(identity, name)
    if marks:
        metadata["annotations"] = dict(marks)
    return {
        "apiVersion": Kind.CONTROLLER_REVISION.api_version,
        "kind": Kind.CONTROLLER_REVISION.kind,
        "metadata": metadata,
        "data": dict(data),
        "revision": number,
    }


def rebuild(identity: api.Identity, stored: Manifest, marks: Mapping[str, str]) -> Manifest:
    """Give a stored ControllerRevision as it is, but for its marks."""
    return build(identity, objects.name(stored), stored["data"], stored["revision"], marks)


def stored_template(controller_revision: Manifest) -> Manifest:
    """Give the pod template that a ControllerRevision keeps; shared, as manifests are never changed in place."""
    template: Manifest = controller_revision["data"]["template"]
    return template
