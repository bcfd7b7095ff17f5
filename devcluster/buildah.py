"""Builds images without Docker, with Debian's buildah, in a store of our own.

Called by `images` and `base_image`, which hold the lock on images. The store is below the cache and never the machine's
own. The machine's certificate bundle and pip configuration are mounted into the build and stay out of the image.
"""

import configparser
import dataclasses
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from devcluster import commands, mounts

_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# What of pip's configuration says how to reach an index; the rest is about folders that are not in the build.
_PIP_SETTINGS = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)
# Beyond this the store is emptied before a build: buildah never forgets a layer by itself, and PyTorch's are large.
_MOST_BYTES = 24 * 1024**3


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder with images and layers, and the builds in it."""

    folder: Path

    def prepare(self) -> None:
        """Remove what a killed build left: mounts, half-made containers, temporary files."""
        mounts.unmount_below(self.folder)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        if self.folder.exists() and _bytes_in(self.folder) > _MOST_BYTES:
            shutil.rmtree(self.folder)
        (self.folder / "tmp").mkdir(parents=True)
        self.run("rm", "--all")

    def is_mounted(self) -> bool:
        """Tell whether a build goes on, or was killed: both have layers mounted."""
        return bool(mounts.points_below(self.folder))

    def close(self) -> None:
        """Unmount what builds leave mounted even when they end well."""
        mounts.unmount_below(self.folder)

    def run(self, *arguments: str | Path, timeout_seconds: float = 600) -> str:
        """Run one buildah command in this store and give what it printed."""
        return commands.run(
            [
                "buildah",
                "--root",
                self.folder / "root",
                "--runroot",
                self.folder / "run",
                "--storage-driver",
                "overlay",
                *arguments,
            ],
            environ={**os.environ, "TMPDIR": str(self.folder / "tmp"), "BUILDAH_ISOLATION": "chroot"},
            timeout_seconds=timeout_seconds,
        )

    def has(self, reference: str) -> bool:
        """Tell whether an image of this name is in the store."""
        return reference in self.run("images", "--format", "{{.Name}}:{{.Tag}}").split()

    def build(self, context: Path, target: str, arguments: Mapping[str, str], reference: str) -> None:
        """Build one target of the context's Dockerfile, given its build arguments: BASE_IMAGE at least."""
        self.run(
            "build",
            "--quiet",
            "--layers",
            "--pull-never",
            f"--file={context / 'Dockerfile'}",
            f"--target={target}",
            f"--tag={reference}",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            *self._volumes(),
            context,
            timeout_seconds=3600,
        )

    def save(self, reference: str, archive: Path) -> None:
        """Write an image as a docker-archive."""
        self.run("push", "--quiet", reference, f"docker-archive:{archive}:{reference}")

    def _volumes(self) -> list[str]:
        """Give the arguments that mount the machine's certificates and pip configuration into the build."""
        configuration = self.folder / "tmp" / "pip.conf"
        # It may hold the password of an index.
        configuration.touch(mode=0o600)
        listed = commands.run([sys.executable, "-m", "pip", "config", "list"], timeout_seconds=60)
        with configuration.open("w") as file:
            pip_configuration(listed).write(file)
        volumes = [f"--volume={configuration}:/etc/pip.conf:ro"]
        bundle = certificate_bundle(os.environ)
        return [*volumes, f"--volume={bundle}:{_BUNDLE}:ro"] if bundle else volumes


def pip_configuration(listed: str) -> configparser.RawConfigParser:
    """Give the part of a pip configuration that matters in a build, from what `pip config list` prints."""
    configuration = configparser.RawConfigParser()
    configuration["global"] = {"cert": str(_BUNDLE)}
    # Later lines win: pip lists files first and its environment last.
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        setting = name.rpartition(".")[2]
        if setting in _PIP_SETTINGS:
            configuration["global"][setting.removeprefix("default-")] = value.strip("'")
    return configuration


def certificate_bundle(environ: Mapping[str, str]) -> Path | None:
    """Give the machine's bundle of certificate authorities: the one it tells its programs, else Debian's."""
    named = [
        environ[name] for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE") if environ.get(name)
    ]
    return next((Path(path) for path in [*named, str(_BUNDLE)] if Path(path).is_file()), None)


def _bytes_in(folder: Path) -> int:
    return sum(_disk_bytes(Path(parent) / name) for parent, _, names in os.walk(folder) for name in names)


def _disk_bytes(path: Path) -> int:
    return path.lstat().st_blocks * 512
