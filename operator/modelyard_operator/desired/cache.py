"""The node cache of a pod: a volume that `fetch` alone has, and what it is told about it.

Called by `desired.pod` and `desired.container`. A revision keeps the cache it was rendered with. Pure.
"""

from typing import Any

from modelyard_operator import api, cachespec, naming


def env(model_deployment: api.ModelDeployment, asked: cachespec.ArtifactCache) -> dict[str, str]:
    """Give what `fetch` is told: where the cache is, how large it may be, and whose entries count."""
    if asked.type == "None":
        return {}
    return {
        naming.ENV_CACHE_DIR: naming.CACHE_DIR,
        naming.ENV_CACHE_BYTES: str(asked.size_bytes),
        naming.ENV_CACHE_SCOPE: model_deployment.identity.namespace,
    }


def mounts(asked: cachespec.ArtifactCache) -> list[dict[str, Any]]:
    """Give where `fetch` has it."""
    return [] if asked.type == "None" else [{"name": naming.CACHE_VOLUME, "mountPath": naming.CACHE_DIR}]


def volumes(asked: cachespec.ArtifactCache) -> list[dict[str, Any]]:
    """Give the pod's volume."""
    if asked.type == "HostPath":
        # A node where nobody has prepared the folder gets one that `fetch` can't write: it does without.
        source: dict[str, Any] = {"hostPath": {"path": asked.path, "type": "DirectoryOrCreate"}}
    elif asked.type == "PersistentVolumeClaim":
        source = {"persistentVolumeClaim": {"claimName": asked.claim_name}}
    else:
        return []
    return [{"name": naming.CACHE_VOLUME, **source}]
