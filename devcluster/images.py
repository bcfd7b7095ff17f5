"""Builds every image of the project into the cache, or finds it there.

Called by the demo, the tests and the command line. An image is an archive file under a key of everything it is made
from, so that building again what has not changed takes no time. It needs Docker, or root on Debian or Ubuntu.
"""

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from devcluster import (
    base_image,
    build_context,
    buildah,
    config,
    docker,
    errors,
    locks,
    packages,
    preflight,
    progress,
    scratch_image,
    toolchain,
)

DOCKERFILE_TARGETS = ("operator", "runtime")
DEMO_S3 = "demo-s3"
TARGETS = (*DOCKERFILE_TARGETS, DEMO_S3)
CHECKOUT = Path(__file__).parent.parent
# Base image, layers of both targets, archives.
_NEEDED_BYTES = 5 * 1024**3
# Of each target: the newest, and one for somebody who goes back and forth between two branches.
_KEPT_ARCHIVES = 2


@dataclasses.dataclass(frozen=True)
class Image:
    """An image in the cache.

    Attributes:
        reference: its full name and tag, as pods name it.
        archive: the docker-archive file.
        bytes: the archive's size.
        key: changes when anything that the image is made from changes.
    """

    reference: str
    archive: Path
    bytes: int
    key: str


def build(target: str, tag: str | None = None) -> Image:
    """Give the image of `target`, built first when something it is made from has changed.

    Args:
        target: one of TARGETS.
        tag: its name and tag; default modelyard/TARGET:dev.

    Raises:
        DevclusterError: it cannot be built here; with what to do.
    """
    if target not in TARGETS:
        raise errors.DevclusterError(f"there is no image {target}; there are: {', '.join(TARGETS)}")
    reference = full_reference(tag or f"modelyard/{target}:dev")
    folder = config.cache_root(os.environ) / "images"
    with locks.hold(folder / "images.lock", "builds images", wait=True), _scratch_folder(folder) as scratch:
        if target == DEMO_S3:
            return _build_from_binary(folder, scratch, "versitygw", reference)
        return _build_from_dockerfile(folder, scratch, target, reference)


def by_tag(tag: str) -> Image:
    """Give the image of this project that `tag` names, built first when needed.

    Raises:
        DevclusterError: it names none.
    """
    for target in TARGETS:
        if full_reference(tag).startswith(f"docker.io/modelyard/{target}:"):
            return build(target, tag)
    raise errors.DevclusterError(
        f"{tag} is neither a file nor an image of this project (modelyard/{', modelyard/'.join(TARGETS)}); "
        "for another image, write it to a file first: docker save --output FILE IMAGE"
    )


def full_reference(tag: str) -> str:
    """Give the name under which containerd and Docker know the image `tag`."""
    first, slash, _ = tag.partition("/")
    if not slash:
        return f"docker.io/library/{tag}"
    return tag if "." in first or ":" in first or first == "localhost" else f"docker.io/{tag}"


def _build_from_binary(folder: Path, scratch: Path, name: str, reference: str) -> Image:
    binary = toolchain.binary(name)
    key = hashlib.sha256(f"{reference}\n".encode() + binary.read_bytes()).hexdigest()[:16]
    archive = folder / f"{DEMO_S3}-{key}.tar"
    if not archive.exists():
        with progress.step(f"building image {reference}", f"image {reference} built"):
            unfinished = scratch / "image.tar"
            scratch_image.write(binary, reference, toolchain.architecture(), unfinished)
            unfinished.rename(archive)
    return _found(folder, DEMO_S3, Image(reference, archive, archive.stat().st_size, key))


def _build_from_dockerfile(folder: Path, scratch: Path, target: str, reference: str) -> Image:
    context = scratch / "context"
    build_context.stage(CHECKOUT, context)
    with_docker = docker.answers()
    base = "the Dockerfile's own" if with_docker else Path(base_image.__file__).read_text()
    key = build_context.key(context, target, reference, base)
    archive = folder / f"{target}-{key}.tar"
    if not archive.exists():
        unfinished = scratch / "image.tar"
        if with_docker:
            with progress.step(f"building image {reference}", f"image {reference} built", "a minute or two"):
                docker.build(context, target, reference)
                docker.save(reference, unfinished)
        else:
            _build_with_buildah(folder, context, target, reference, unfinished)
        unfinished.rename(archive)
    return _found(folder, target, Image(reference, archive, archive.stat().st_size, key))


def _build_with_buildah(folder: Path, context: Path, target: str, reference: str, archive: Path) -> None:
    preflight.require_linux()
    preflight.require_root()
    packages.require("images")
    preflight.require_space(folder, _NEEDED_BYTES, f"building image {reference}")
    store = buildah.Store(folder / "store")
    store.prepare()
    try:
        base = base_image.ensure(store)
        with progress.step(f"building image {reference}", f"image {reference} built", "a minute or two"):
            store.build(context, target, base, reference)
            store.save(reference, archive)
    finally:
        store.close()


def _found(folder: Path, target: str, image: Image) -> Image:
    """Tell the size of an image and forget older ones of its target."""
    progress.line("done", f"image {image.reference}: {image.bytes / 1e6:.0f} MB ({image.archive.name})")
    image.archive.touch()
    archives = sorted(folder.glob(f"{target}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[_KEPT_ARCHIVES:]:
        old.unlink()
    return image


@contextlib.contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder for the time of a build; what a killed one left in it is removed first."""
    scratch = folder / ".building"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
