"""Where a node keeps artifacts that it has fetched: the administrator's choice, from the chart's values.

Read by `config`; `desired.cache` renders it. Pure.
"""

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from modelyard_operator import errors, quantities

_VARIABLE = "MODELYARD_ARTIFACT_CACHE"
_PATH = re.compile(r"(/[A-Za-z0-9._-]+)+")
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")


class ArtifactCache(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The node cache.

    Attributes:
        type: None keeps nothing; HostPath a folder of each node; PersistentVolumeClaim a claim in each namespace.
        path: the node's folder.
        claim_name: the claim, which every namespace with models must have.
        size: how much is kept; the longest unused goes first.
    """

    type: Literal["None", "HostPath", "PersistentVolumeClaim"] = "None"
    path: str = "/var/cache/modelyard"
    claim_name: str = ""
    size: str = "20Gi"

    @property
    def size_bytes(self) -> int:
        """The size in bytes."""
        return int(quantities.parse(self.size) or 0)


def read(env: Mapping[str, str]) -> ArtifactCache:
    """Give the choice.

    Raises:
        errors.ConfigInvalid: naming the setting and what to write instead.
    """
    try:
        asked = msgspec.json.decode(env.get(_VARIABLE, "{}"), type=ArtifactCache)
    except msgspec.DecodeError as error:
        raise errors.ConfigInvalid(f"{_VARIABLE}: {error}.") from error
    if not _PATH.fullmatch(asked.path) or {".", ".."} & set(asked.path.split("/")):
        raise errors.ConfigInvalid(
            f"{_VARIABLE}: path: {asked.path!r} is no folder of a node; write an absolute path: /var/cache/modelyard."
        )
    if asked.type == "PersistentVolumeClaim" and not _NAME.fullmatch(asked.claim_name):
        raise errors.ConfigInvalid(
            f"{_VARIABLE}: claimName: {asked.claim_name!r} is no PersistentVolumeClaim's name; name the claim."
        )
    if asked.size_bytes < 1:
        raise errors.ConfigInvalid(f"{_VARIABLE}: size: {asked.size!r} is no size; write for example 20Gi.")
    return asked
