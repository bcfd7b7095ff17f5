"""Installs the Debian packages that are missing, or says the line that does.

Called before the step that needs them. Whether one is missing is judged by the program or file that is used, so that
any other way of having it counts too. Packages come through apt as the machine has it set up.
"""

import dataclasses
import os
import shutil
from pathlib import Path

from devcluster import commands, errors, progress


@dataclasses.dataclass(frozen=True)
class Need:
    """A program or file and the package that brings it.

    Attributes:
        package: Debian's package.
        program: its program, looked for on PATH.
        file: any of these files, for what is no program.
    """

    package: str
    program: str = ""
    file: tuple[str, ...] = ()


# By the step that needs them.
NEEDS = {
    "certificates": (Need("openssl", program="openssl"),),
    "node": (
        Need("iproute2", program="ip"),
        Need("util-linux", program="nsenter"),
        Need("mount", program="mount"),
        # kube-proxy writes the node's Service rules with it.
        Need("nftables", program="nft"),
    ),
    "compiler": (
        Need("gcc", program="gcc"),
        Need("libc6-dev", file=("/usr/include/stdlib.h",)),
        Need("pkg-config", program="pkg-config"),
        # runc applies the pods' seccomp profiles with it.
        Need("libseccomp-dev", file=("/usr/include/seccomp.h",)),
    ),
    # The model server's page is looked at as a person does.
    "browser": (Need("chromium", program="chromium"),),
    # Drives the model servers that are compared.
    "load": (Need("wrk", program="wrk"),),
    # A registry of images, for models that are kept in one.
    "registry": (Need("docker-registry", program="docker-registry"),),
    "images": (Need("buildah", program="buildah"), Need("debootstrap", program="debootstrap")),
}


def missing(step: str) -> list[str]:
    """List the packages that `step` needs and the machine lacks."""
    # Debian keeps administrators' programs where an ordinary user's PATH may not look.
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return [
        need.package
        for need in NEEDS[step]
        if not (
            shutil.which(need.program, path=places)
            if need.program
            else any(Path(path).exists() for path in need.file)
        )
    ]


def require(step: str) -> None:
    """Install what `step` needs and is missing.

    Raises:
        DevclusterError: not root, or no Debian: with the line to run.
    """
    lacking = missing(step)
    if not lacking:
        return
    line = f"apt-get update && apt-get install --no-install-recommends {' '.join(lacking)}"
    if shutil.which("apt-get") is None:
        raise errors.DevclusterError(
            f"missing on this machine: {', '.join(lacking)} (Debian's names). Install them with its package manager."
        )
    if os.geteuid() != 0:
        raise errors.DevclusterError(f"missing packages: {', '.join(lacking)}. Run: sudo sh -c '{line}'")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    names = " ".join(lacking)
    with progress.step(f"installing Debian packages {names}", f"Debian packages installed: {names}"):
        commands.run(["apt-get", "update", "-qq"], environ=environ)
        commands.run(
            ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *lacking],
            environ=environ,
            timeout_seconds=900,
        )
    still = missing(step)
    if still:
        raise errors.DevclusterError(
            f"apt-get installed {names}, and still missing: {', '.join(still)}. Run: {line}"
        )
