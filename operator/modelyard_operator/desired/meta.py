"""The metadata that all children share: name, labels and the owner reference that garbage collection follows.

Used by every builder of this package. Pure.
"""

from typing import Any

from modelyard_operator import api, naming


def build(identity: api.Identity, name: str = "") -> dict[str, Any]:
    """Give the metadata of a child; its name is the ModelDeployment's unless another is given."""
    return {
        "name": name or identity.name,
        "namespace": identity.namespace,
        "labels": naming.child_labels(identity.name),
        "ownerReferences": [
            {
                "apiVersion": naming.API_VERSION,
                "kind": naming.KIND,
                "name": identity.name,
                "uid": identity.uid,
                "controller": True,
                # Deleting the resource must never wait for a child, and setting this would need a right on finalizers.
                "blockOwnerDeletion": False,
            }
        ],
    }
