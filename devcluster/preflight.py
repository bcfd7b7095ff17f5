"""Says before any work what this machine lacks, and the command or setting that helps.

Called at the start of each step. It must never change anything.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from devcluster import errors

_GIBIBYTE = 1024**3


def require_linux() -> None:
    """Refuse systems other than Linux: the devcluster's binaries run on nothing else."""
    if sys.platform != "linux":
        raise errors.DevclusterError(
            f"the devcluster runs on Linux only, and this is {platform.system()}. Start a Docker engine (kind is used "
            "then), or use a cluster that you have: CLUSTER=current IMAGE_REGISTRY=registry.example.com/you"
        )


def require_root() -> None:
    """Refuse an ordinary user: a node needs namespaces, mounts and cgroups."""
    if os.geteuid() != 0:
        raise errors.DevclusterError(
            "a node needs root, for namespaces, mounts and cgroups. Run the same with sudo; or start a Docker engine "
            "(kind is used then); or use a cluster that you have: CLUSTER=current "
            "IMAGE_REGISTRY=registry.example.com/you"
        )


def require_space(folder: Path, needed_bytes: int, purpose: str) -> None:
    """Refuse when the disk of `folder` has less than `needed_bytes` free."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise errors.DevclusterError(
            f"{purpose} needs about {needed_bytes / _GIBIBYTE:.1f} GiB free at {existing}, and there are "
            f"{free / _GIBIBYTE:.1f}. Free some, or set MODELYARD_CACHE (binaries, images), GOCACHE and GOMODCACHE "
            "(builds) or MODELYARD_STATE (running clusters) to folders on another disk"
        )


def require_writable(folder: Path, setting: str) -> None:
    """Refuse when `folder` cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise errors.DevclusterError(
            f"cannot make the folder {folder}: {reason.strerror}. Set {setting}."
        ) from None
    if not os.access(folder, os.W_OK):
        raise errors.DevclusterError(f"cannot write to the folder {folder}. Set {setting} to another one.")
