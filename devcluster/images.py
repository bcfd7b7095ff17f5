"""Builds every image of the project into the cache, or finds it there.

Called by the demo, the tests and the command line. An image is an archive file under a key of everything it is made
from, so that building again what has not changed takes no time. It needs Docker, or root on Debian or Ubuntu.
"""

import contextlib
import dataclasses
import hashlib
import os
import re
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
# The runtime with one framework more, built on demand only: `runtime-keras` is the target runtime with FLAVOUR=keras.
FLAVOURS = ("catboost", "keras", "mlflow", "torch")
_FLAVOURED = "runtime-"
CHECKOUT = Path(__file__).parent.parent
# Base image, layers of both targets, archives.
_NEEDED_BYTES = 5 * 1024**3
# The framework's layer, the same in the final image, the archive.
_NEEDED_BYTES_OF_FLAVOUR = 15 * 1024**3
# Of each target: the newest, and one for somebody who goes back and forth between two branches.
_KEPT_ARCHIVES = 2
_ESTIMATE = "a minute or two"
_LOCK = "images.lock"
_SCRATCH = ".building"


@dataclasses.dataclass(frozen=True)
class Image:
    """An image in the cache.

    Attributes:
        reference: its full name and tag, as pods name it.
        archive: the docker-archive file.
        key: changes when anything that the image is made from changes.
    """

    reference: str
    archive: Path
    key: str

    @property
    def bytes(self) -> int:
        """The archive's size."""
        return self.archive.stat().st_size


def build(target: str, tag: str | None = None) -> Image:
    """Give the image of `target`, built first when something it is made from has changed.

    Args:
        target: one of TARGETS, or runtime-FLAVOUR.
        tag: its name and tag; by default modelyard/TARGET:dev-KEY, so that a workload which names it is
            rolled out anew when the image has changed, and only then.

    Raises:
        DevclusterError: it cannot be built here; with what to do.
    """
    if target not in _all_targets():
        raise errors.DevclusterError(f"there is no image {target}; there are: {', '.join(_all_targets())}")
    folder = config.cache_root(os.environ) / "images"
    with locks.hold(folder / _LOCK, "builds images", wait=True), _scratch_folder(folder) as scratch:
        if target == DEMO_S3:
            return _build_from_binary(folder, scratch, "versitygw", tag)
        return _build_from_dockerfile(folder, scratch, target, tag)


def by_tag(tag: str) -> Image:
    """Give the image of this project that `tag` names, built first when needed.

    Raises:
        DevclusterError: it names none.
    """
    for target in _all_targets():
        if full_reference(tag).startswith(f"docker.io/modelyard/{target}:"):
            return build(target, tag)
    raise errors.DevclusterError(
        f"{tag} is neither a file nor an image of this project (modelyard/{', modelyard/'.join(_all_targets())}); "
        "for another image, write it to a file first: docker save --output FILE IMAGE"
    )


def clean_up() -> None:
    """Unmount and remove what a killed build left behind; a running build, and the cache, are left alone."""
    folder = config.cache_root(os.environ) / "images"
    store = buildah.Store(folder / "store")
    if not (folder / _SCRATCH).exists() and not store.is_mounted():
        return
    with (
        contextlib.suppress(errors.BusyError),
        locks.hold(folder / _LOCK, "cleans up images", wait=False),
    ):
        store.close()
        shutil.rmtree(folder / _SCRATCH, ignore_errors=True)


def full_reference(tag: str) -> str:
    """Give the name under which containerd and Docker know the image `tag`."""
    first, slash, _ = tag.partition("/")
    if not slash:
        return f"docker.io/library/{tag}"
    return tag if "." in first or ":" in first or first == "localhost" else f"docker.io/{tag}"


def _build_from_binary(folder: Path, scratch: Path, name: str, tag: str | None) -> Image:
    binary = toolchain.binary(name)
    key = hashlib.sha256(f"{tag}\n".encode() + binary.read_bytes()).hexdigest()[:16]
    image = _image(folder, DEMO_S3, tag, key)
    if not image.archive.exists():
        with progress.step(f"building image {image.reference}", f"image {image.reference} built"):
            unfinished = scratch / "image.tar"
            scratch_image.write(binary, image.reference, toolchain.architecture(), unfinished)
            unfinished.rename(image.archive)
    return _kept(folder, DEMO_S3, image)


def _build_from_dockerfile(folder: Path, scratch: Path, target: str, tag: str | None) -> Image:
    context = scratch / "context"
    stage, flavour = _stage_and_flavour(target)
    build_context.stage(CHECKOUT, context, flavour)
    with_docker = docker.answers()
    base = "the Dockerfile's own" if with_docker else base_image.recipe()
    image = _image(folder, target, tag, build_context.key(context, target, base, str(tag)))
    if not image.archive.exists():
        unfinished = scratch / "image.tar"
        if with_docker:
            with progress.step(
                f"building image {image.reference}", f"image {image.reference} built", _ESTIMATE
            ):
                docker.build(context, stage, flavour, image.reference)
                docker.save(image.reference, unfinished)
        else:
            _build_with_buildah(folder, context, target, image.reference, unfinished)
        unfinished.rename(image.archive)
    return _kept(folder, target, image)


def _image(folder: Path, target: str, tag: str | None, key: str) -> Image:
    reference = full_reference(tag or f"modelyard/{target}:dev-{key[:8]}")
    return Image(reference, folder / f"{target}-{key}.tar", key)


def _build_with_buildah(folder: Path, context: Path, target: str, reference: str, archive: Path) -> None:
    preflight.require_linux()
    preflight.require_root()
    packages.require("images")
    stage, flavour = _stage_and_flavour(target)
    needed_bytes = _NEEDED_BYTES if flavour == build_context.DEFAULT_FLAVOUR else _NEEDED_BYTES_OF_FLAVOUR
    preflight.require_space(folder, needed_bytes, f"building image {reference}")
    store = buildah.Store(folder / "store")
    store.prepare()
    try:
        base = base_image.ensure(store)
        with progress.step(f"building image {reference}", f"image {reference} built", _ESTIMATE):
            store.build(context, stage, {"BASE_IMAGE": base, "FLAVOUR": flavour}, reference)
            store.save(reference, archive)
    finally:
        store.close()


def _kept(folder: Path, target: str, image: Image) -> Image:
    """Tell the size of an image and forget older ones of its target."""
    progress.line("done", f"image {image.reference}: {image.bytes / 1e6:.0f} MB ({image.archive.name})")
    image.archive.touch()
    # A hash follows the target's name; a longer target's name is something else.
    own = [path for path in folder.glob(f"{target}-*.tar") if _is_key(path.stem.removeprefix(f"{target}-"))]
    archives = sorted(own, key=lambda path: path.stat().st_mtime, reverse=True)
    for old in archives[_KEPT_ARCHIVES:]:
        old.unlink()
    return image


def _all_targets() -> tuple[str, ...]:
    return (*TARGETS, *(_FLAVOURED + flavour for flavour in FLAVOURS))


def _stage_and_flavour(target: str) -> tuple[str, str]:
    """Give the Dockerfile's target and flavour that one of our targets stands for."""
    if target.startswith(_FLAVOURED):
        return "runtime", target.removeprefix(_FLAVOURED)
    return target, build_context.DEFAULT_FLAVOUR


def _is_key(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{16}", text) is not None


@contextlib.contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder for the time of a build; what a killed one left in it is removed first."""
    scratch = folder / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
