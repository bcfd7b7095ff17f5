"""Asks whether the parts of a running instance work: node, DNS, metrics.

Called by the start, which waits for them, and the status.
"""

import http.client
from typing import Any

from devcluster import addons, api, config


def is_node_ready(client: api.Client, name: str) -> bool:
    """Tell whether the node calls itself ready, and the controllers have let pods onto it."""
    found = client.get(f"/api/v1/nodes/{name}")
    return _has_condition(found, "Ready") and not (found or {}).get("spec", {}).get("taints")


def are_metrics_available(client: api.Client) -> bool:
    """Tell whether the API server reaches metrics-server, as `kubectl top` and autoscalers will."""
    return _has_condition(client.get(addons.METRICS_GROUP), "Available")


def is_dns_ready(network: config.Network) -> bool:
    """Tell whether CoreDNS knows the cluster's Services."""
    connection = http.client.HTTPConnection(network.node_address, addons.DNS_READY_PORT, timeout=2)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _has_condition(found: dict[str, Any] | None, kind: str) -> bool:
    conditions = found.get("status", {}).get("conditions", []) if found else []
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)
