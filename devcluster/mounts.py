"""Mounts: the private view in which the node's processes see the fixed folders of theirs, and removing leftovers.

Called by the start and the removal of an instance, and after building images. The kubelet and containerd use a few
folders whose names cannot be chosen. They get a mount namespace in which those are folders of the instance, so that two
instances never meet there, and all of a node's mounts vanish with its processes.
"""

import re
from pathlib import Path

from devcluster import commands

# Fixed in the source of containerd, its network library and the kubelet; and the folder's name in the instance.
FIXED_FOLDERS = {
    "/run/containerd": "containerd-state",
    "/var/lib/kubelet": "kubelet",
    "/var/lib/cni": "cni",
    "/var/log/containers": "container-logs",
}


def private_view(root: Path, command: list[str]) -> list[str]:
    """Give the command that runs `command` in a new mount namespace, with the instance's own fixed folders.

    Args:
        root: the instance's folder, where the replacements are.
        command: what becomes the process; no shell remains around it.
    """
    binds = " && ".join(f'mount --bind "$0/{name}" {fixed}' for fixed, name in FIXED_FOLDERS.items())
    # "slave": what the machine mounts later is seen inside, what is mounted inside is not seen outside.
    return [
        "unshare",
        "--mount",
        "--propagation",
        "slave",
        "sh",
        "-c",
        f'{binds} && exec "$@"',
        str(root),
        *command,
    ]


def join_view(pid: int) -> list[str]:
    """Give the words before a command that run it in the mount namespace of process `pid`."""
    return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--"]


def below(mountinfo: str, folder: Path) -> list[str]:
    """List the mount points at and below `folder` in a mountinfo text, the innermost first."""
    points = [_decoded(line.split()[4]) for line in mountinfo.splitlines()]
    inside = [point for point in points if point == str(folder) or point.startswith(f"{folder}/")]
    # Later lines were mounted later, possibly over earlier ones.
    return inside[::-1]


def points_below(folder: Path) -> list[str]:
    """List the machine's mount points at and below `folder`, the innermost first; none where there is no /proc."""
    mountinfo = Path("/proc/self/mountinfo")
    return below(mountinfo.read_text(), folder.resolve()) if mountinfo.exists() else []


def unmount_below(folder: Path) -> None:
    """Unmount everything at and below `folder`, however busy."""
    while points := points_below(folder):
        for point in points:
            commands.run(["umount", "--lazy", point])


def _decoded(point: str) -> str:
    """Undo the kernel's octal escapes of blanks and the like."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), point)
