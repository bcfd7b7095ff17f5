"""A cluster by kind, where a Docker engine answers: create, load an image, delete.

Called by `clusters`. Not tried on the machine this was written on, which has no Docker engine; so it is kept to kind's
own few commands. kind brings its own node image, and no metrics-server.
"""

import dataclasses
from pathlib import Path

from devcluster import commands, config, docker, errors, images, locks, progress, toolchain

_READY_SECONDS = 180


@dataclasses.dataclass(frozen=True)
class Kind:
    """A running cluster of kind's."""

    name: str
    kubeconfig: Path

    def load_image(self, image: images.Image) -> str:
        """Make an image known to the node and give the name that pods must use."""
        with progress.step(f"loading {image.reference}", f"image {image.reference} loaded"):
            _kind("load", "image-archive", str(image.archive), "--name", self.name)
        return image.reference

    def down(self) -> None:
        """Remove the cluster."""
        delete(self.name, self.kubeconfig)


def create(name: str, kubeconfig: Path) -> Kind:
    """Make a cluster, or find it running, and write its kubeconfig.

    Raises:
        DevclusterError: no Docker engine answers, or kind failed; with its words.
    """
    if not docker.answers():
        raise errors.DevclusterError(
            "kind needs a Docker engine, and none answers: start one (`docker version` must show a server), or use the "
            "embedded cluster: CLUSTER=devcluster, as root"
        )
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    with locks.hold(kubeconfig.with_suffix(".lock"), f"makes the kind cluster {name}", wait=True):
        if name in _kind("get", "clusters").split():
            _kind("export", "kubeconfig", "--name", name, "--kubeconfig", str(kubeconfig))
            return Kind(name, kubeconfig)
        with progress.step(f"making the kind cluster {name}", f"kind cluster {name} made", "a minute or two"):
            try:
                ready = ("--wait", f"{_READY_SECONDS}s")
                _kind("create", "cluster", "--name", name, "--kubeconfig", str(kubeconfig), *ready)
            except BaseException:
                delete(name, kubeconfig)
                raise
    return Kind(name, kubeconfig)


def delete(name: str, kubeconfig: Path) -> None:
    """Remove a cluster and its kubeconfig; nothing happens when there is none."""
    _kind("delete", "cluster", "--name", name)
    kubeconfig.unlink(missing_ok=True)


def kubeconfig_path(layout: config.Layout) -> Path:
    """Give where the kubeconfig of the kind cluster of this name is kept."""
    return layout.root.parent.parent / "kind" / f"{layout.name}.kubeconfig"


def _kind(*arguments: str) -> str:
    return commands.run([toolchain.binary("kind"), *arguments], timeout_seconds=900)
