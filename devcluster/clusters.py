"""One interface to every kind of cluster: the embedded devcluster, kind, and the one the user has.

Called by the demo and the tests, which must not care which one it is.
"""

import dataclasses
from pathlib import Path

from devcluster import config, embedded


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        name: what it is called here.
        kubeconfig: the administrator's kubeconfig.
    """

    name: str
    kubeconfig: Path

    def down(self) -> None:
        """Remove the cluster."""
        embedded.down(self.name)


def up(
    name: str = config.DEFAULT_NAME, control_plane_only: bool = False, controllers: bool = False
) -> Cluster:
    """Bring up the embedded devcluster, or find it running, and give it.

    Args:
        name: of the instance.
        control_plane_only: etcd and API server on loopback ports; no node, no root, ready in about 4 s.
        controllers: with `control_plane_only`, the controller manager too.

    Raises:
        DevclusterError: it cannot run here; nothing of it is left then.
    """
    layout = embedded.up(name, config.Options(control_plane_only, controllers))
    return Cluster(name, layout.kubeconfig)


def down(name: str = config.DEFAULT_NAME) -> None:
    """Remove the embedded devcluster `name` with everything it left; nothing happens when there is none."""
    embedded.down(name)
