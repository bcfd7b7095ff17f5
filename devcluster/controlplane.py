"""The command lines of etcd, API server, controller manager and scheduler. Pure.

Called by the start of an instance. A control plane alone listens on the machine's loopback; with a node it lives in the
instance's network namespace and listens at the node address.
"""

from typing import Any

from devcluster import certificates, config


def etcd(instance: config.Instance) -> list[str]:
    """Give etcd's arguments."""
    network, layout = instance.network, instance.layout
    client = f"https://127.0.0.1:{network.etcd_port}"
    peer = f"http://127.0.0.1:{network.etcd_peer_port}"
    return [
        f"--name={layout.name}",
        f"--data-dir={layout.root / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={layout.name}={peer}",
        f"--cert-file={_file(instance, 'etcd.crt')}",
        f"--key-file={_file(instance, 'etcd.key')}",
        f"--trusted-ca-file={_file(instance, f'{certificates.STORE_AUTHORITY}.crt')}",
        "--client-cert-auth",
        # The cluster goes with its folder, so that nothing is gained by waiting for the disk.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(instance: config.Instance) -> list[str]:
    """Give the API server's arguments."""
    network, layout = instance.network, instance.layout
    arguments = [
        f"--bind-address={network.node_address}",
        f"--advertise-address={network.node_address}",
        f"--secure-port={network.api_port}",
        f"--service-cluster-ip-range={config.SERVICE_CIDR}",
        f"--etcd-servers=https://127.0.0.1:{network.etcd_port}",
        f"--etcd-cafile={_file(instance, f'{certificates.STORE_AUTHORITY}.crt')}",
        f"--etcd-certfile={_file(instance, 'etcd-client.crt')}",
        f"--etcd-keyfile={_file(instance, 'etcd-client.key')}",
        f"--client-ca-file={_file(instance, f'{certificates.CLUSTER_AUTHORITY}.crt')}",
        f"--tls-cert-file={_file(instance, 'apiserver.crt')}",
        f"--tls-private-key-file={_file(instance, 'apiserver.key')}",
        f"--service-account-key-file={_file(instance, 'service-account.crt')}",
        f"--service-account-signing-key-file={_file(instance, 'service-account.key')}",
        f"--service-account-issuer=https://kubernetes.default.svc.{config.DOMAIN}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--audit-policy-file={layout.configuration / 'audit-policy.json'}",
        f"--audit-log-path={layout.audit_log}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=1",
        *_aggregation(instance),
    ]
    if instance.options.control_plane_only:
        # Service endpoints may not be loopback addresses, and nobody here could use them.
        return [*arguments, "--endpoint-reconciler-type=none"]
    return [
        *arguments,
        # No volume driver or network plugin of this cluster needs them, but system pods of users' charts may.
        "--allow-privileged",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={_file(instance, f'{certificates.CLUSTER_AUTHORITY}.crt')}",
        f"--kubelet-client-certificate={_file(instance, 'apiserver-kubelet-client.crt')}",
        f"--kubelet-client-key={_file(instance, 'apiserver-kubelet-client.key')}",
    ]


def controller_manager(instance: config.Instance) -> list[str]:
    """Give the controller manager's arguments."""
    kubeconfig = instance.layout.configuration / "controller-manager.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--use-service-account-credentials",
        f"--root-ca-file={_file(instance, f'{certificates.CLUSTER_AUTHORITY}.crt')}",
        f"--service-account-private-key-file={_file(instance, 'service-account.key')}",
        # One instance of one controller manager: no election, and no port that a neighbour could hold.
        "--leader-elect=false",
        *_own_port(instance, 10257),
        # Short, so that a test sees an autoscaler act, and act again, within a minute.
        "--horizontal-pod-autoscaler-sync-period=5s",
        "--horizontal-pod-autoscaler-downscale-stabilization=20s",
        "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
        "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
    ]


def scheduler(instance: config.Instance) -> list[str]:
    """Give the scheduler's arguments."""
    kubeconfig = instance.layout.configuration / "scheduler.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        *_own_port(instance, 10259),
    ]


def audit_policy() -> dict[str, Any]:
    """Give the audit policy: who did what to which object, never its content, so that no secret is in the log."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }


def _own_port(instance: config.Instance, port: int) -> list[str]:
    """Serve health and metrics inside the network namespace; without one, on no port at all."""
    if instance.options.control_plane_only:
        return ["--secure-port=0"]
    return ["--bind-address=127.0.0.1", f"--secure-port={port}"]


def _aggregation(instance: config.Instance) -> list[str]:
    return [
        # To the Service's endpoints directly: its cluster address leads nowhere before kube-proxy runs.
        "--enable-aggregator-routing",
        f"--proxy-client-cert-file={_file(instance, 'front-proxy-client.crt')}",
        f"--proxy-client-key-file={_file(instance, 'front-proxy-client.key')}",
        f"--requestheader-client-ca-file={_file(instance, f'{certificates.FRONT_PROXY_AUTHORITY}.crt')}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
    ]


def _file(instance: config.Instance, name: str) -> str:
    return str(instance.layout.certificates / name)
