"""Writes kubeconfig files: how a component or a person reaches the API server, and as whom. Pure but for `write`.

Called at the start of an instance. The administrator's file carries its certificates inside, so that it can be copied;
the components' files name theirs, which lie beside them. JSON is YAML, so no YAML library is needed.
"""

import base64
import json
from pathlib import Path
from typing import Any

from devcluster import certificates


def build(name: str, url: str, folder: Path, certificate: str) -> dict[str, Any]:
    """Give a kubeconfig that names the certificate files in `folder`."""
    return _kubeconfig(
        name,
        {"server": url, "certificate-authority": str(folder / f"{certificates.CLUSTER_AUTHORITY}.crt")},
        {
            "client-certificate": str(folder / f"{certificate}.crt"),
            "client-key": str(folder / f"{certificate}.key"),
        },
    )


def build_embedded(name: str, url: str, authority: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    """Give a kubeconfig that carries its certificates inside."""
    return _kubeconfig(
        name,
        {"server": url, "certificate-authority-data": _encoded(authority)},
        {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)},
    )


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a kubeconfig that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))


def _kubeconfig(name: str, cluster: dict[str, str], user: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
