"""What can be said about any Kubernetes object without knowing its kind: the kinds we manage, identity and owner.

Used by `desired`, `plan`, `revisions`, `status` and `cluster`. Manifests are plain dicts, never changed in place.
Pure: never calls the API.
"""

import enum
from collections.abc import Mapping
from typing import Any

from modelyard_operator import naming

Manifest = dict[str, Any]


class Kind(enum.Enum):
    """A kind of child: (apiVersion, kind, plural). The order is the order in which children are applied."""

    CONTROLLER_REVISION = ("apps/v1", "ControllerRevision", "controllerrevisions")
    CONFIG_MAP = ("v1", "ConfigMap", "configmaps")  # a revision's lock
    SERVICE = ("v1", "Service", "services")
    DEPLOYMENT = ("apps/v1", "Deployment", "deployments")
    AUTOSCALER = ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
    DISRUPTION_BUDGET = ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")

    @property
    def api_version(self) -> str:
        """Group and version as a manifest has them."""
        return self.value[0]

    @property
    def kind(self) -> str:
        """The kind as a manifest has it."""
        return self.value[1]

    @property
    def plural(self) -> str:
        """The kind as a URL has it."""
        return self.value[2]

    @property
    def is_per_revision(self) -> bool:
        """Whether each revision has one; of all other kinds there is one, named like the ModelDeployment."""
        return self in (Kind.CONTROLLER_REVISION, Kind.CONFIG_MAP)


_BY_IDENTITY = {(kind.api_version, kind.kind): kind for kind in Kind}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Give the kind of a child's manifest.

    Raises:
        KeyError: when it is none of ours, which no builder makes.
    """
    return _BY_IDENTITY[manifest["apiVersion"], manifest["kind"]]


def name(manifest: Mapping[str, Any]) -> str:
    """Give an object's name."""
    return str(manifest["metadata"]["name"])


def describe(manifest: Mapping[str, Any]) -> str:
    """Give an object's name for people: "Deployment iris"."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def controller_of(manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Give the owner reference of the object's controller, if it has one."""
    references = manifest["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), None)


def is_owned_by(manifest: Mapping[str, Any], uid: str) -> bool:
    """Says whether the object's controller is the ModelDeployment of that UID: names are reused, UIDs never."""
    controller = controller_of(manifest)
    return controller is not None and controller.get("uid") == uid


def is_leaving(manifest: Mapping[str, Any], name: str) -> bool:
    """Says whether the object is a leftover of an earlier ModelDeployment of that name, or is being deleted."""
    controller = controller_of(manifest)
    is_predecessors = (
        controller is not None and controller.get("kind") == naming.KIND and controller.get("name") == name
    )
    return is_predecessors or "deletionTimestamp" in manifest["metadata"]


def owning_key(manifest: Mapping[str, Any]) -> tuple[str, str] | None:
    """Give (namespace, name) of the ModelDeployment a child belongs to, by owner or, failing that, by label."""
    metadata = manifest["metadata"]
    controller = controller_of(manifest)
    if controller is not None and controller.get("kind") == naming.KIND:
        return metadata["namespace"], controller["name"]
    instance = (metadata.get("labels") or {}).get(naming.LABEL_INSTANCE)
    return (metadata["namespace"], instance) if instance else None
