"""Speaks to an instance's containerd: is it there, load an image into it.

Called by the start of a node and by `load-image`. Everything goes through `ctr` inside the node's own mount namespace,
where the socket's path is short enough for the kernel whatever the state folder is called.
"""

import hashlib
from pathlib import Path

from devcluster import commands, config, errors, mounts, node, processes

# The kubelet looks for images in this one of containerd's namespaces.
_NAMESPACE = "k8s.io"


def is_ready(layout: config.Layout, ctr: Path) -> bool:
    """Tell whether containerd answers."""
    pid = _containerd_pid(layout)
    return pid is not None and commands.succeeds([*_ctr(pid, ctr), "version"])


def load(layout: config.Layout, ctr: Path, archive: Path) -> list[str]:
    """Import an image archive (docker-archive or OCI) and give the names under which pods find its images.

    Raises:
        DevclusterError: the instance has no node, or the file is no image archive.
    """
    pid = _containerd_pid(layout)
    if pid is None:
        raise errors.DevclusterError(
            f"instance {layout.name} has no running node to load an image into; start it with: "
            f"python -m devcluster up --name {layout.name}"
        )
    printed = commands.run([*_ctr(pid, ctr), "images", "import", archive.resolve()])
    return [line.split()[0] for line in printed.splitlines() if line.strip()]


def has(layout: config.Layout, reference: str, key: str) -> bool:
    """Tell whether the image of this key was loaded under this name."""
    try:
        return _mark(layout, reference).read_text() == key
    except FileNotFoundError:
        return False


def remember(layout: config.Layout, reference: str, key: str) -> None:
    """Note that the image of this key is loaded under this name."""
    layout.images.mkdir(exist_ok=True)
    _mark(layout, reference).write_text(key)


def _mark(layout: config.Layout, reference: str) -> Path:
    return layout.images / hashlib.sha256(reference.encode()).hexdigest()[:16]


def _ctr(pid: int, ctr: Path) -> list[str | Path]:
    return [*mounts.join_view(pid), ctr, "--address", node.CONTAINERD_SOCKET, "--namespace", _NAMESPACE]


def _containerd_pid(layout: config.Layout) -> int | None:
    for process in processes.recorded(layout):
        if process.name == "containerd" and processes.is_alive(process):
            return process.pid
    return None
