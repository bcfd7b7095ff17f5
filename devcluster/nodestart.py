"""Starts the node of an instance: network namespace, containerd, kubelet, kube-proxy, DNS, metrics.

Called by `startup`, before the control plane (`prepare`) and after it (`start`): containerd needs no API server, and is
ready by the time that is.
"""

import base64
import json
import os

from devcluster import (
    addons,
    api,
    certificates,
    cgroups,
    config,
    containers,
    health,
    host,
    kubeconfig,
    mounts,
    network,
    node,
    processes,
    progress,
    scratch_image,
    toolchain,
    waiting,
)

_USERS = ("kubelet-client", "kube-proxy", "coredns", "metrics-server-client")
# What containerd looks for by name: its shim, which finds runc, and the network plugins.
_ON_PATH = ("containerd-shim-runc-v2", "runc", "ptp", "host-local")


def prepare(instance: config.Instance) -> None:
    """Make the node's network, cgroup and folders, and start containerd."""
    with progress.step("making the node's network", f"node's network made ({instance.network.subnet})"):
        host.claim(instance.layout)
        network.create(instance.layout, instance.network)
        cgroups.create(instance.layout.cgroup)
        _write_files(instance)
        _start_containerd(instance)


def start(instance: config.Instance) -> None:
    """Start the node's processes and return when the node is ready, DNS answers and metrics are registered."""
    layout, binaries = instance.layout, instance.binaries
    client = api.client(layout, instance.network)
    with progress.step("starting the node", f"node {layout.name} ready"):
        _load_pause_image(instance)
        # Before the add-ons start: metrics-server ends by itself when it may not read what it needs.
        authority = (layout.certificates / f"{certificates.CLUSTER_AUTHORITY}.crt").read_bytes()
        for path, manifest in addons.objects(instance, base64.b64encode(authority).decode()):
            client.apply(path, manifest)
        outside = network.enter(layout)
        inside = [*outside, *mounts.join_view(_pid(layout, "containerd"))]
        processes.start(layout, "kubelet", [*inside, str(binaries["kubelet"]), *node.kubelet(instance)])
        for name, arguments in (
            ("kube-proxy", node.proxy(instance)),
            ("coredns", addons.dns(instance)),
            ("metrics-server", addons.metrics(instance)),
        ):
            processes.start(layout, name, [*outside, str(binaries[name]), *arguments])
        waiting.until(
            lambda: health.is_node_ready(client, layout.name),
            layout,
            what="the node is ready",
            component="kubelet",
        )
    with progress.step("starting DNS and metrics", "DNS and metrics ready"):
        waiting.until(
            lambda: health.is_dns_ready(instance.network), layout, what="DNS answers", component="coredns"
        )
        waiting.until(
            lambda: health.are_metrics_available(client),
            layout,
            what="the API server reaches metrics-server",
            component="metrics-server",
        )


def _write_files(instance: config.Instance) -> None:
    layout = instance.layout
    (layout.configuration / "cni").mkdir()
    for name in mounts.FIXED_FOLDERS.values():
        (layout.root / name).mkdir()
    (layout.configuration / "containerd.toml").write_text(node.containerd_configuration(instance))
    (layout.configuration / "Corefile").write_text(addons.dns_configuration(instance))
    for path, content in (
        ("cni/10-modelyard.conflist", node.network_configuration(instance)),
        ("kubelet.json", node.kubelet_configuration(instance, cgroups.is_unified())),
        ("kube-proxy.json", node.proxy_configuration(instance)),
    ):
        (layout.configuration / path).write_text(json.dumps(content, indent=2))
    for user in _USERS:
        content = kubeconfig.build(layout.name, instance.network.api_url, layout.certificates, user)
        kubeconfig.write(layout.configuration / f"{user}.kubeconfig", content)
    layout.bin.mkdir()
    for name in _ON_PATH:
        (layout.bin / name).symlink_to(instance.binaries[name])


def _start_containerd(instance: config.Instance) -> None:
    layout = instance.layout
    command = [str(instance.binaries["containerd"]), f"--config={layout.configuration / 'containerd.toml'}"]
    processes.start(
        layout,
        "containerd",
        [*network.enter(layout), *mounts.private_view(layout.root, command)],
        {"PATH": os.pathsep.join([str(layout.bin), os.environ["PATH"]])},
    )


def _load_pause_image(instance: config.Instance) -> None:
    layout, ctr = instance.layout, instance.binaries["ctr"]
    archive = layout.root / "pause.tar"
    scratch_image.write(instance.binaries["pause"], node.PAUSE_IMAGE, toolchain.architecture(), archive)
    waiting.until(
        lambda: containers.is_ready(layout, ctr), layout, what="containerd answers", component="containerd"
    )
    containers.load(layout, ctr, archive)


def _pid(layout: config.Layout, name: str) -> int:
    return next(process.pid for process in processes.recorded(layout) if process.name == name)
