"""The public key that an artifact must be signed with, and where it is mounted.

Called by `desired.pod` and `desired.container`. The key's Secret is mounted into `fetch` alone, and is optional: the
pod starts, and the runtime itself says what is missing. Pure.
"""

from typing import Any

from modelyard_operator import naming, spec


def env(model: spec.Model) -> dict[str, str]:
    """Give what `fetch` is told about the signature."""
    asked = model.signature
    if asked is None:
        return {}
    told = {
        naming.ENV_SIGNATURE_KEY_DIR: naming.SIGNATURE_KEY_DIR,
        naming.ENV_SIGNATURE_KEY: asked.public_key.key,
    }
    return told | ({naming.ENV_SIGNATURE_URI: asked.uri} if asked.uri else {})


def mounts(model: spec.Model) -> list[dict[str, Any]]:
    """Give where `fetch` has the key."""
    if model.signature is None:
        return []
    return [{"name": naming.SIGNATURE_KEY_VOLUME, "mountPath": naming.SIGNATURE_KEY_DIR, "readOnly": True}]


def volumes(model: spec.Model) -> list[dict[str, Any]]:
    """Give the pod's volume with the key and nothing else of its Secret."""
    if model.signature is None:
        return []
    key = model.signature.public_key
    source = {
        "secretName": key.secret_name,
        "items": [{"key": key.key, "path": key.key}],
        "optional": True,
        "defaultMode": 0o440,
    }
    return [{"name": naming.SIGNATURE_KEY_VOLUME, "secret": source}]
