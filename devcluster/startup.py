"""Starts the processes of an instance in the order in which they need each other.

Called by `embedded.up`, which has chosen the slot, written the record, and removes everything when this fails.
"""

import json
from pathlib import Path
from typing import Any

from devcluster import (
    api,
    certificates,
    config,
    controlplane,
    kubeconfig,
    network,
    nodestart,
    processes,
    progress,
    waiting,
)


def start(instance: config.Instance) -> None:
    """Start an instance and return when it works.

    Raises:
        DevclusterError: a component ended or never got ready; with the end of its log.
    """
    with progress.step("making certificates", "certificates made"):
        certificates.make(instance)
        write_configuration(instance)
    if not instance.options.control_plane_only:
        nodestart.prepare(instance)
    with progress.step("starting the control plane", f"API server ready at {instance.network.api_url}"):
        _start_control_plane(instance)
    if not instance.options.control_plane_only:
        nodestart.start(instance)
    if _followers(instance):
        with progress.step("starting the controllers", "controllers at work"):
            _await_controllers(instance)


def write_configuration(instance: config.Instance) -> None:
    """Write the control plane's configuration files and the administrator's kubeconfig."""
    layout, url = instance.layout, instance.network.api_url
    layout.configuration.mkdir(mode=0o700)
    _write_json(layout.configuration / "audit-policy.json", controlplane.audit_policy())
    names = (
        ["controller-manager"] if instance.options.control_plane_only else ["controller-manager", "scheduler"]
    )
    for name in names:
        content = kubeconfig.build(layout.name, url, layout.certificates, name)
        kubeconfig.write(layout.configuration / f"{name}.kubeconfig", content)
    content = kubeconfig.build_embedded(
        layout.name,
        url,
        (layout.certificates / f"{certificates.CLUSTER_AUTHORITY}.crt").read_bytes(),
        (layout.certificates / "admin.crt").read_bytes(),
        (layout.certificates / "admin.key").read_bytes(),
    )
    kubeconfig.write(layout.kubeconfig, content)


def _start_control_plane(instance: config.Instance) -> None:
    layout = instance.layout
    prefix = [] if instance.options.control_plane_only else network.enter(layout)
    programs = {name: str(path) for name, path in instance.binaries.items()}
    processes.start(layout, "etcd", [*prefix, programs["etcd"], *controlplane.etcd(instance)])
    # It asks for etcd until that answers.
    processes.start(
        layout, "kube-apiserver", [*prefix, programs["kube-apiserver"], *controlplane.api_server(instance)]
    )
    client = api.client(layout, instance.network)
    waiting.until(client.is_ready, layout, what="the API server is ready", component="kube-apiserver")
    for name, arguments in _followers(instance):
        processes.start(layout, name, [*prefix, programs[name], *arguments])


def _await_controllers(instance: config.Instance) -> None:
    """Wait until the controllers did their first work: pods need their namespace's service account."""
    client = api.client(instance.layout, instance.network)
    waiting.until(
        lambda: client.get("/api/v1/namespaces/default/serviceaccounts/default") is not None,
        instance.layout,
        what="the controllers have made the default service account",
        component="kube-controller-manager",
    )


def _followers(instance: config.Instance) -> list[tuple[str, list[str]]]:
    """List the components, with their arguments, that need a ready API server."""
    if instance.options.control_plane_only and not instance.options.controllers:
        return []
    controllers = ("kube-controller-manager", controlplane.controller_manager(instance))
    if instance.options.control_plane_only:
        return [controllers]
    return [controllers, ("kube-scheduler", controlplane.scheduler(instance))]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2))
