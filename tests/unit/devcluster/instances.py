"""Makes instances for the tests below, without starting anything."""

from pathlib import Path

from devcluster import config

SLOT = 7


def instance(
    root: Path, control_plane_only: bool = False, controllers: bool = False, name: str = "test"
) -> config.Instance:
    """Give an instance whose folder is below `root`."""
    options = config.Options(control_plane_only, controllers)
    network = config.loopback(SLOT) if control_plane_only else config.namespaced(SLOT)
    binaries = {name: Path("/bin") / name for name in ("etcd", "kube-apiserver", "containerd")}
    return config.Instance(config.Layout(name, root / name), options, SLOT, network, binaries)
