"""One interface to every kind of cluster: the embedded devcluster, kind, and the one the user has.

Called by the demo and the tests, which must not care which one it is.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from devcluster import (
    config,
    containers,
    current,
    docker,
    embedded,
    errors,
    images,
    kind,
    progress,
    toolchain,
)

DEVCLUSTER = "devcluster"
KIND = "kind"
CURRENT = "current"
KINDS = (DEVCLUSTER, KIND, CURRENT)


class Cluster(Protocol):
    """A running cluster of any kind."""

    @property
    def name(self) -> str:
        """What it is called here."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""

    def load_image(self, image: images.Image) -> str:
        """Make an image available to the cluster's nodes and give the name that pods must use.

        Raises:
            DevclusterError: it cannot be loaded.
        """

    def down(self) -> None:
        """Remove the cluster with everything in it; the user's own is left alone."""


@dataclasses.dataclass(frozen=True)
class Devcluster:
    """A running instance of the embedded devcluster.

    Attributes:
        address: where this machine reaches the API server and node ports.
        host_address: where pods reach this machine; None without a node.
    """

    name: str
    kubeconfig: Path
    address: str
    host_address: str | None

    @property
    def audit_log(self) -> Path:
        """Who asked the API server for what, one JSON event a line, written before the answer goes out."""
        return embedded.layout_of(self.name).audit_log

    def load_image(self, image: images.Image) -> str:
        """Import an image into the node, unless it has it, and give the name that pods must use."""
        layout = embedded.layout_of(self.name)
        if containers.has(layout, image.reference, image.key):
            return image.reference
        with progress.step(f"loading {image.reference}", f"image {image.reference} loaded"):
            containers.load(layout, toolchain.binary("ctr"), image.archive)
            containers.remember(layout, image.reference, image.key)
        return image.reference

    def down(self) -> None:
        """Remove the instance and everything it left."""
        embedded.down(self.name)


def choose(environ: Mapping[str, str], docker_answers: Callable[[], bool] = docker.answers) -> str:
    """Give the kind of cluster to use: what CLUSTER says, else kind where Docker answers, else the devcluster.

    Raises:
        DevclusterError: CLUSTER names no kind of cluster.
    """
    named = environ.get("CLUSTER", "")
    if named and named not in KINDS:
        raise errors.DevclusterError(f"CLUSTER={named} is not possible; it is one of: {', '.join(KINDS)}")
    if named:
        return named
    return KIND if docker_answers() else DEVCLUSTER


def provide(cluster_kind: str, name: str = config.DEFAULT_NAME) -> Cluster:
    """Give a running cluster of a kind that `choose` gave, brought up first where that is ours to do.

    Raises:
        DevclusterError: it cannot be had; with what to do.
    """
    if cluster_kind == CURRENT:
        return current.find(os.environ)
    if cluster_kind == KIND:
        return kind.create(name, kind.kubeconfig_path(embedded.layout_of(name)))
    return up(name)


def remove(cluster_kind: str, name: str = config.DEFAULT_NAME) -> None:
    """Remove the cluster that `provide` gave; nothing happens when there is none, or it is the user's own."""
    if cluster_kind == KIND:
        kind.delete(name, kind.kubeconfig_path(embedded.layout_of(name)))
    elif cluster_kind == DEVCLUSTER:
        down(name)


def up(
    name: str = config.DEFAULT_NAME,
    control_plane_only: bool = False,
    controllers: bool = False,
    bound: bool = False,
) -> Devcluster:
    """Bring up the embedded devcluster, or find it running, and give it.

    Args:
        name: of the instance.
        control_plane_only: etcd and API server on loopback ports; no node, no root, ready in about 4 s.
        controllers: with `control_plane_only`, the controller manager too.
        bound: to this process, as for tests: once it is gone, even killed, the next `up` or `down` of any
            instance removes this one.

    Raises:
        DevclusterError: it cannot run here; nothing of it is left then.
    """
    layout, network = embedded.up(name, config.Options(control_plane_only, controllers), bound)
    return Devcluster(name, layout.kubeconfig, network.node_address, network.host_address)


def down(name: str = config.DEFAULT_NAME) -> bool:
    """Remove the embedded devcluster `name` with everything it left, and tell whether there was anything."""
    images.clean_up()
    return embedded.down(name)
