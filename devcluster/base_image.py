"""The base image where no registry can be reached: a minimal Debian with Python, from the machine's own mirror.

Called by `images` when there is no Docker. It stands in for the public slim Python image that the Dockerfile names by
default. It is stripped of everything that only a person at a terminal would use, and of everything that is this
machine's: host name, resolver, package sources.
"""

import hashlib
import os
import platform
import shutil
import tarfile
from pathlib import Path

from devcluster import buildah, commands, errors, progress

_REPOSITORY = "localhost/modelyard-base"
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
# On Debian: its newest stable release, for its Python. Elsewhere the release the machine itself has.
_DEBIAN_SUITE = "trixie"
# All dates in the image, so that two builds from the same packages are the same: 2025-01-01.
_EPOCH = 1735689600
# Relative to the root; patterns as in Path.glob.
_STRIPPED = (
    "dev/*",
    "etc/apt/sources.list",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    "tmp/*",
    "usr/share/bash-completion",
    "usr/share/info/*",
    "usr/share/lintian",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/log/*",
)


def ensure(store: buildah.Store) -> str:
    """Give the name of the base image in `store`, made first when it is not there.

    Raises:
        DevclusterError: it cannot be made; with what to do.
    """
    release = platform.freedesktop_os_release()
    suite = _DEBIAN_SUITE if release.get("ID") == "debian" else release.get("VERSION_CODENAME", "")
    reference = f"{_REPOSITORY}:{suite}-{hashlib.sha256(recipe().encode()).hexdigest()[:8]}"
    if store.has(reference):
        return reference
    address = mirror(
        commands.run(["apt-get", "indextargets", "--format", _FORMAT]), release["VERSION_CODENAME"]
    )
    if address is None:
        raise errors.DevclusterError(
            "apt on this machine has no source with the component 'main' of its own release, and so there is no mirror "
            "to make the base image from; add one to /etc/apt/sources.list and run `apt-get update`"
        )
    root = store.folder / "tmp" / "base"
    with progress.step("making the base image", f"base image made ({suite} with Python)", "about 90 s"):
        _bootstrap(suite, address, root)
        strip(root)
        layer = root.with_suffix(".tar")
        pack(root, layer)
        _commit(store, layer, reference)
        shutil.rmtree(root)
        layer.unlink()
    return reference


def recipe() -> str:
    """Give everything that decides what is in the base image, but for the packages' own versions."""
    return repr((_DEBIAN_SUITE, _PACKAGES, _STRIPPED, _EPOCH))


_FORMAT = "$(IDENTIFIER) $(CODENAME) $(COMPONENT) $(REPO_URI)"


def mirror(listed: str, codename: str) -> str | None:
    """Give the address of the machine's own package mirror from what `apt-get indextargets` lists."""
    for line in listed.splitlines():
        identifier, release, component, address = line.split(maxsplit=3)
        if (identifier, release, component) == ("Packages", codename, "main"):
            return address
    return None


def strip(root: Path) -> None:
    """Remove from a bootstrapped system what no image needs; licences stay."""
    for pattern in _STRIPPED:
        for path in list(root.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for parent, _, files in os.walk(root / "usr/share/doc"):
        for name in files:
            if name != "copyright":
                (Path(parent) / name).unlink()


def pack(root: Path, archive: Path) -> None:
    """Write a folder as a tar whose bytes depend on its content only."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = min(int(entry.mtime), _EPOCH)
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        # Names are added in sorted order, folder by folder.
        tar.add(root, arcname=".", filter=plain)


def _bootstrap(suite: str, address: str, root: Path) -> None:
    command = [
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        suite,
        str(root),
        address,
    ]
    commands.run(command, environ={**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH)}, timeout_seconds=1800)


def _commit(store: buildah.Store, layer: Path, reference: str) -> None:
    container = store.run("from", "scratch").strip()
    store.run("add", container, layer, "/")
    store.run(
        "config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container
    )
    store.run("config", "--env", "LANG=C.UTF-8", "--cmd", "/bin/sh", container)
    store.run("commit", "--quiet", "--rm", f"--timestamp={_EPOCH}", container, reference)
