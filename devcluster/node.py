"""The configuration of what makes a node: containerd, its network, kubelet, kube-proxy. Pure.

Called by `nodestart`, which writes and runs it. The fixed folders (see `mounts`) are named as the node's own processes
see them.
"""

import json
from typing import Any

from devcluster import certificates, config

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
# Known to containerd by this name only: nothing is ever pulled.
PAUSE_IMAGE = "modelyard.dev/pause:dev"

# What a node without registries, NRI plugins and image encryption has no use for.
_DISABLED_PLUGINS = [
    "io.containerd.nri.v1.nri",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
]
# Images are loaded by hand and could not be pulled again; a developer's full disk is no reason to evict.
_KEEP_EVERYTHING = {
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
    "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "evictionPressureTransitionPeriod": "5s",
}


def containerd_configuration(instance: config.Instance) -> str:
    """Give containerd's configuration file."""
    layout = instance.layout
    settings: dict[str, dict[str, Any]] = {
        "": {
            "version": 3,
            "root": str(layout.root / "containerd"),
            "state": "/run/containerd",
            "disabled_plugins": _DISABLED_PLUGINS,
        },
        "grpc": {"address": CONTAINERD_SOCKET},
        "plugins.'io.containerd.cri.v1.images'.pinned_images": {"sandbox": PAUSE_IMAGE},
        "plugins.'io.containerd.cri.v1.runtime'": {
            # A root inside a sandbox may not lower it, and pods would not start.
            "restrict_oom_score_adj": True,
            # A profile loaded into the machine's kernel would stay there.
            "disable_apparmor": True,
            # In our folder, where removal finds them, and not among the machine's own namespaces.
            "netns_mounts_under_state_dir": True,
        },
        "plugins.'io.containerd.cri.v1.runtime'.cni": {
            "bin_dirs": [str(layout.bin)],
            "conf_dir": str(layout.configuration / "cni"),
            "use_internal_loopback": True,
        },
        "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc": {
            "runtime_type": "io.containerd.runc.v2"
        },
        "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options": {
            "BinaryName": str(layout.bin / "runc"),
            "SystemdCgroup": False,
        },
    }
    return "\n".join(_toml_table(name, values) for name, values in settings.items())


def network_configuration(instance: config.Instance) -> dict[str, Any]:
    """Give the pod network: one routed link for each pod.

    Routed and not bridged, because a bridge needs a kernel module of the machine (br_netfilter) before a pod reaches
    another one through a Service.
    """
    return {
        "cniVersion": "1.0.0",
        "name": "modelyard",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/var/lib/cni/networks",
                    "ranges": [[{"subnet": instance.network.pod_cidr}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }


def kubelet_configuration(instance: config.Instance, unified_cgroups: bool) -> dict[str, Any]:
    """Give the kubelet's configuration.

    Args:
        instance: which it is for.
        unified_cgroups: whether the machine has cgroups of version 2 only.
    """
    layout = instance.layout
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": instance.network.node_address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": _certificate(instance, f"{certificates.CLUSTER_AUTHORITY}.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": _certificate(instance, "kubelet.crt"),
        "tlsPrivateKeyFile": _certificate(instance, "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [config.DNS_SERVICE_ADDRESS],
        "clusterDomain": config.DOMAIN,
        # Names outside the cluster are not asked for: nothing reaches beyond the machine.
        "resolvConf": "",
        "podLogsDir": str(layout.logs / "pods"),
        "volumePluginDir": str(layout.root / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        **({} if unified_cgroups else {"failCgroupV1": False}),
        **_KEEP_EVERYTHING,
        "localStorageCapacityIsolation": True,
        "oomScoreAdj": 0,
        "shutdownGracePeriod": "0s",
    }


def kubelet(instance: config.Instance) -> list[str]:
    """Give the kubelet's arguments."""
    configuration = instance.layout.configuration
    return [
        f"--config={configuration / 'kubelet.json'}",
        f"--kubeconfig={configuration / 'kubelet-client.kubeconfig'}",
        f"--hostname-override={instance.layout.name}",
        f"--node-ip={instance.network.node_address}",
    ]


def proxy_configuration(instance: config.Instance) -> dict[str, Any]:
    """Give kube-proxy's configuration."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(instance.layout.configuration / "kube-proxy.kubeconfig")},
        "hostnameOverride": instance.layout.name,
        "clusterCIDR": instance.network.pod_cidr,
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # The connection table's size is the machine's, not the namespace's: left as it is.
        "conntrack": {"maxPerCore": 0, "min": 0},
        # Short, so that a new Service answers at once in tests.
        "nftables": {"minSyncPeriod": "100ms"},
    }


def proxy(instance: config.Instance) -> list[str]:
    """Give kube-proxy's arguments."""
    return [f"--config={instance.layout.configuration / 'kube-proxy.json'}"]


def _certificate(instance: config.Instance, name: str) -> str:
    return str(instance.layout.certificates / name)


def _toml_table(name: str, values: dict[str, Any]) -> str:
    """Give one TOML table; JSON's texts, numbers, booleans and lists are TOML's too."""
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
