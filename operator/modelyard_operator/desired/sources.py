"""The volumes that hold an artifact already: a claim (`pvc:`), or an image that the node mounts (`oci+volume:`).

Called by `desired.pod` and `desired.container`. They are mounted read-only and into `fetch` alone, which copies what
was asked for; how they are called and where they are is `naming`'s. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelyard_operator import naming, spec, uri_rules

_CLAIM = re.compile(r"pvc://([^/]+)/")
_IMAGE = re.compile(rf"oci\+volume://(?P<reference>{uri_rules.IMAGE})")


def volumes(asked: spec.Spec) -> list[dict[str, Any]]:
    """Give the pod's volumes for the artifact, and for samples and a signature that are elsewhere."""
    return [volume for volume, _ in _sources(asked)]


def mounts(asked: spec.Spec) -> list[dict[str, Any]]:
    """Give where `fetch` has them."""
    return [{"name": volume["name"], "mountPath": path, "readOnly": True} for volume, path in _sources(asked)]


def with_pull_secrets(pod_spec: Mapping[str, Any], asked: spec.Spec) -> dict[str, Any]:
    """Give a pod's spec in which the node may pull an image that it mounts with the model's credentials."""
    credentials = asked.model.credentials
    if credentials is None or not any("image" in volume for volume in volumes(asked)):
        return dict(pod_spec)
    others = pod_spec.get("imagePullSecrets", [])
    return {**pod_spec, "imagePullSecrets": [*others, {"name": credentials.secret_name}]}


def _sources(asked: spec.Spec) -> Iterator[tuple[dict[str, Any], str]]:
    """Give each volume once, with its mount path."""
    found = {}
    signature = asked.model.signature
    beside = (asked.validation.samples_uri, signature.uri if signature else None)
    for uri in (asked.model.uri, *filter(None, beside)):
        if claim := _CLAIM.match(uri):
            found[naming.claim_path(claim[1])] = _claim(claim[1])
        elif image := _IMAGE.match(uri):
            found[naming.image_path(image["reference"])] = _image(image["reference"])
    for number, (path, source) in enumerate(found.items()):
        yield {"name": naming.source_volume(number), **source}, path


def _claim(name: str) -> dict[str, Any]:
    return {"persistentVolumeClaim": {"claimName": name, "readOnly": True}}


def _image(reference: str) -> dict[str, Any]:
    # What a tag names may be another image tomorrow; what a digest names is on the node or it isn't.
    policy = "IfNotPresent" if "@sha256:" in reference else "Always"
    return {"image": {"reference": reference, "pullPolicy": policy}}
