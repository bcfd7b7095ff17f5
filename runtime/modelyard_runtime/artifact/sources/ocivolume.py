"""Artifacts in an image that the node itself has pulled and mounted, as a Kubernetes image volume.

Chosen by `sources.opening`. The operator mounts the image read-only where only `fetch` sees it; which folder belongs to
which image, both sides compute alike (tests/contract/test_wire.py).
"""

import hashlib
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import mounted

FOLDER = "image"  # below the folder of mounts, one folder for each image
# Where images that carry models have them by convention; without it, the whole image is the artifact.
_USUAL_PATH = "models"


def folder_of(reference: str) -> str:
    """Gives the folder that an image is mounted at: a reference has characters that a mount path can't have."""
    return hashlib.sha256(reference.encode()).hexdigest()[:16]


def build(location: uris.Location, surroundings: source.Surroundings) -> mounted.MountedSource:
    """Gives the source of a URI; raises `StartFailure` where the image isn't mounted."""
    image = location.image
    assert image is not None  # noqa: S101 - what `uri.parse` gives for this scheme
    mount = surroundings.mount_dir / FOLDER / folder_of(image.text)
    if not mount.is_dir() or not any(mount.iterdir()):
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{location.shown}: the volume with the image {image.text} is empty; either the image is, or this cluster "
            f"has no image volumes (Kubernetes 1.35 and later have them): write oci://{image.text} instead",
        )
    return mounted.MountedSource(
        location.shown, f"the image {image.text}", mount, image.path or _usual(mount)
    )


def _usual(mount: Path) -> str:
    return _USUAL_PATH if (mount / _USUAL_PATH).is_dir() else ""
