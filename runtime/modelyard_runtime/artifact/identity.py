"""When the pod's own cloud identity may be asked for, and where: the one way to a metadata service.

Asked by `artifact.egress` for addresses that are otherwise refused, and by sources that decide between an identity and
no credentials at all. An identity is given by whoever runs the cluster: through the variables that a cloud injects into
a pod, or by MODELYARD_POD_IDENTITY. Without either, no metadata service is ever asked. A server that redirects there
gains nothing: what a redirect can't make a client send (a header, a secret path) is part of the rule. Pure.
"""

import dataclasses
import urllib.parse
from collections.abc import Collection, Mapping

_INJECTED = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AZURE_FEDERATED_TOKEN_FILE",
)
_METADATA_HOSTS = frozenset(
    {"169.254.169.254:80", "fd00:ec2::254:80", "metadata.google.internal:80", "metadata:80"}
)
# Each cloud's own guard against forged requests, in lower case.
_METADATA_HEADERS = frozenset(
    {"x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds", "metadata-flavor", "metadata"}
)
_CONTAINER_HOST = "169.254.170.2"  # what a relative URI is relative to


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """The identity a pod was given: `urls` that hand out credentials, and whether metadata services may be asked."""

    is_given: bool = False
    asks_metadata: bool = False
    urls: frozenset[str] = frozenset()
    metadata_hosts: frozenset[str] = _METADATA_HOSTS

    def allows(self, host: str, port: int, target: str, headers: Collection[str]) -> bool:
        """Says whether a plain HTTP request, with these headers in lower case, is one for the pod's identity."""
        if f"{host}:{port}{target}" in self.urls:
            return True
        return (
            self.asks_metadata
            and f"{host}:{port}" in self.metadata_hosts
            and not _METADATA_HEADERS.isdisjoint(headers)
        )


NONE = Identity()


def read(ambient: Mapping[str, str], is_granted: bool) -> Identity:
    """Gives the identity from the pod's environment; `is_granted` is the administrator's own word for it."""
    urls = set()
    if relative := ambient.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        urls.add(f"{_CONTAINER_HOST}:80{relative}")
    if full := ambient.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        parts = urllib.parse.urlsplit(full)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        urls.add(f"{parts.hostname}:{parts.port or 80}{target}")
    is_given = is_granted or any(ambient.get(variable) for variable in _INJECTED)
    hosts = _METADATA_HOSTS
    if server := ambient.get(
        "GCE_METADATA_HOST"
    ):  # set by whoever runs the cluster, for a server of their own
        hosts |= {server if ":" in server else f"{server}:80"}
        is_granted = is_given = True
    return Identity(is_given, is_granted, frozenset(urls), hosts)
