"""Sends requests to a Service of the cluster the way a client outside it can.

Called by the demo and the end-to-end tests. A Service with a node port is reached at the node's address, through
kube-proxy, where that address can be reached; everything else goes through the API server's own Service proxy. Both
choose among the Service's ready pods: this module never talks to a pod directly.
"""

import dataclasses
import json
import socket
from typing import Any

import httpx

from demo import kubectl as kubectl_module


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a Service can be reached from outside: a node's address and the Service's node port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL without a path."""
        return f"http://{self.host}:{self.port}"


def node_address(kubectl: kubectl_module.Kubectl, namespace: str, name: str) -> Address | None:
    """Give the node port of Service `name` when it has one that answers from here, else None."""
    service = kubectl.get("service", name, f"--namespace={namespace}")
    node_port = service["spec"]["ports"][0].get("nodePort")
    if node_port is None:
        return None
    for node in kubectl.get("nodes")["items"]:
        for address in node["status"]["addresses"]:
            if address["type"] in ("InternalIP", "ExternalIP") and _answers(address["address"], node_port):
                return Address(address["address"], node_port)
    return None


def post(kubectl: kubectl_module.Kubectl, namespace: str, name: str, path: str, body: dict[str, Any]) -> Any:
    """POST `body` to Service `name` by its node port when that can be reached, else through the API server."""
    address = node_address(kubectl, namespace, name)
    if address is None:
        return post_through_api_server(kubectl, namespace, name, path, body)
    answer = httpx.post(f"{address.url}{path}", json=body, timeout=30)
    if answer.status_code != httpx.codes.OK:
        raise kubectl_module.CommandError(
            f"POST {address.url}{path} got HTTP {answer.status_code}: {answer.text}"
        )
    return answer.json()


def post_through_api_server(
    kubectl: kubectl_module.Kubectl, namespace: str, name: str, path: str, body: dict[str, Any]
) -> Any:
    """POST `body` to Service `name` through the API server's proxy and give the decoded answer."""
    raw = f"/api/v1/namespaces/{namespace}/services/{name}:http/proxy{path}"
    return json.loads(kubectl.run("create", f"--raw={raw}", "--filename=-", stdin=json.dumps(body)))


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False
