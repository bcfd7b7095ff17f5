"""DNS and resource metrics: CoreDNS and metrics-server as processes of the node, and what leads to them. Pure.

Called by `nodestart`. Both run beside the kubelet instead of in pods, which saves two images and their start: each is
behind a Service without a selector, whose endpoint is the node's address.
"""

from typing import Any

from devcluster import config

_SYSTEM = "kube-system"
_DNS_USER = "modelyard:coredns"
_METRICS_USER = "modelyard:metrics-server"
_METRICS_PORT = 4443
DNS_READY_PORT = 8181
METRICS_GROUP = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


def dns_configuration(instance: config.Instance) -> str:
    """Give CoreDNS's configuration file: the cluster's own names, and a refusal for all others."""
    return "\n".join(
        [
            f"{config.DOMAIN}:53 in-addr.arpa:53 {{",
            f"    bind {instance.network.node_address}",
            f"    ready {instance.network.node_address}:{DNS_READY_PORT}",
            "    errors",
            # Short, so that a Service that is new, or gone, is so at once.
            "    cache 2",
            f"    kubernetes {config.DOMAIN} in-addr.arpa {{",
            f"        kubeconfig {instance.layout.configuration / 'coredns.kubeconfig'}",
            "        ttl 2",
            "    }",
            "}",
            "",
        ]
    )


def dns(instance: config.Instance) -> list[str]:
    """Give CoreDNS's arguments."""
    return ["-conf", str(instance.layout.configuration / "Corefile")]


def metrics(instance: config.Instance) -> list[str]:
    """Give metrics-server's arguments."""
    layout = instance.layout
    kubeconfig = layout.configuration / "metrics-server-client.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={instance.network.node_address}",
        f"--secure-port={_METRICS_PORT}",
        f"--tls-cert-file={layout.certificates / 'metrics-server.crt'}",
        f"--tls-private-key-file={layout.certificates / 'metrics-server.key'}",
        f"--kubelet-certificate-authority={layout.certificates / 'cluster-ca.crt'}",
        "--kubelet-preferred-address-types=InternalIP",
        # The finest that metrics-server allows; it must exceed the time allowed for one request.
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]


def objects(instance: config.Instance, authority: str) -> list[tuple[str, dict[str, Any]]]:
    """List the objects to apply, each with its path in the API.

    Args:
        instance: whose node runs the add-ons.
        authority: the cluster's certificate authority in base64.
    """
    address = instance.network.node_address
    return [
        *_service(
            "kube-dns",
            config.DNS_SERVICE_ADDRESS,
            address,
            [("dns", "UDP", 53, 53), ("dns-tcp", "TCP", 53, 53)],
        ),
        *_service("metrics-server", None, address, [("https", "TCP", 443, _METRICS_PORT)]),
        *_permissions("modelyard:coredns", _DNS_USER, _DNS_RULES),
        *_permissions("modelyard:metrics-server", _METRICS_USER, _METRICS_RULES),
        _binding("modelyard:metrics-server:auth-delegator", "system:auth-delegator", _METRICS_USER),
        _authentication_reader(),
        _api_service(authority),
    ]


_DNS_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]
_METRICS_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
]
_RBAC = "rbac.authorization.k8s.io"


def _service(
    name: str, cluster_address: str | None, endpoint: str, ports: list[tuple[str, str, int, int]]
) -> list[tuple[str, dict[str, Any]]]:
    """Give a Service without a selector and the slice that holds its one endpoint.

    Args:
        name: of both.
        cluster_address: a fixed one, or None for any.
        endpoint: the address that answers.
        ports: each as name, protocol, port, target port.
    """
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": _SYSTEM},
        "spec": {
            **({"clusterIP": cluster_address} if cluster_address else {}),
            "ports": [
                {"name": port_name, "protocol": protocol, "port": port, "targetPort": target}
                for port_name, protocol, port, target in ports
            ],
        },
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": _SYSTEM, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [
            {"name": port_name, "protocol": protocol, "port": target}
            for port_name, protocol, _, target in ports
        ],
        "endpoints": [{"addresses": [endpoint], "conditions": {"ready": True}}],
    }
    return [
        (f"/api/v1/namespaces/{_SYSTEM}/services/{name}", service),
        (f"/apis/discovery.k8s.io/v1/namespaces/{_SYSTEM}/endpointslices/{name}", endpoints),
    ]


def _permissions(name: str, user: str, rules: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    role = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    return [(f"/apis/{_RBAC}/v1/clusterroles/{name}", role), _binding(name, name, user)]


def _binding(name: str, role: str, user: str) -> tuple[str, dict[str, Any]]:
    return f"/apis/{_RBAC}/v1/clusterrolebindings/{name}", {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
    }


def _authentication_reader() -> tuple[str, dict[str, Any]]:
    """Let metrics-server read which front proxy to believe."""
    name = "modelyard:metrics-server"
    return f"/apis/{_RBAC}/v1/namespaces/{_SYSTEM}/rolebindings/{name}", {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": _SYSTEM},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "extension-apiserver-authentication-reader"},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": _METRICS_USER}],
    }


def _api_service(authority: str) -> tuple[str, dict[str, Any]]:
    return METRICS_GROUP, {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "caBundle": authority,
            "service": {"name": "metrics-server", "namespace": _SYSTEM, "port": 443},
        },
    }
