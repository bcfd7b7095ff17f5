"""What the container that fetches has told of the artifact it brought: the digest of its bytes, and their format.

Called by `locks` and `marks`. A pod has no token for the API server: what it has to say, it writes into its
termination message, and the kubelet shows it in the pod's status. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from modelyard_operator import naming
from modelyard_operator.objects import Manifest

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z0-9-]{0,63}")


class Fetched(msgspec.Struct, frozen=True):
    """One artifact as a pod has it on its disk; other fields of the message are of no interest here."""

    digest: str
    format: str = ""


def of_pod(pod: Manifest) -> Fetched | None:
    """Give what a pod has fetched; None before it has, and when it says nothing that can be read."""
    ended = (_container(pod, "initContainerStatuses", naming.FETCH).get("state") or {}).get(
        "terminated"
    ) or {}
    if ended.get("exitCode") != 0:
        return None
    return read(ended.get("message") or "")


def read(text: str) -> Fetched | None:
    """Give what a message or a mark says, None when it makes no sense."""
    try:
        told = msgspec.json.decode(text, type=Fetched)
    except msgspec.DecodeError:
        return None
    return told if _DIGEST.fullmatch(told.digest) and _FORMAT.fullmatch(told.format) else None


def has_loaded(pod: Manifest) -> bool:
    """Says whether a pod has loaded its model: its server answers, or has done so."""
    return bool(_container(pod, "containerStatuses", naming.SERVE).get("started"))


def _container(pod: Manifest, field: str, name: str) -> Mapping[str, Any]:
    statuses: Iterable[Mapping[str, Any]] = (pod.get("status") or {}).get(field) or ()
    return next((status for status in statuses if status["name"] == name), {})
