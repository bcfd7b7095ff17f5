"""The ConfigMap from which the pods of a revision read which bytes they may serve; immutable, and gone with its record.

It hangs on the ControllerRevision, so that garbage collection removes it with the revision and the operator needs no
right to delete ConfigMaps. Pure.
"""

import msgspec

from modelyard_operator import api, naming, objects
from modelyard_operator.desired import meta
from modelyard_operator.fetched import Fetched
from modelyard_operator.objects import Kind, Manifest


def build(identity: api.Identity, stored: Manifest, lock: Fetched) -> Manifest:
    """Give the ConfigMap for a revision that is stored."""
    revision = objects.name(stored)
    metadata = meta.build(identity, naming.lock_name(revision))
    metadata["labels"] = {**metadata["labels"], naming.LABEL_REVISION: revision}
    metadata["ownerReferences"] = [
        {
            "apiVersion": Kind.CONTROLLER_REVISION.api_version,
            "kind": Kind.CONTROLLER_REVISION.kind,
            "name": revision,
            "uid": stored["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    data = {naming.LOCK_DIGEST: lock.digest} | ({naming.LOCK_FORMAT: lock.format} if lock.format else {})
    return {
        "apiVersion": Kind.CONFIG_MAP.api_version,
        "kind": Kind.CONFIG_MAP.kind,
        "metadata": metadata,
        "immutable": True,
        "data": data,
    }


def read(live: Manifest) -> Fetched | None:
    """Give what a ConfigMap locks to; None when it holds nothing of the kind."""
    try:
        return msgspec.convert(live.get("data") or {}, Fetched)
    except msgspec.ValidationError:
        return None
