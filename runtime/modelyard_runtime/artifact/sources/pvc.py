"""Artifacts in a PersistentVolumeClaim, which the operator mounts read-only where only `fetch` sees it.

Chosen by `sources.opening`.
"""

from modelyard_runtime import errors
from modelyard_runtime.artifact import source
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import mounted

FOLDER = "claim"  # below the folder of mounts, one folder for each claim


def build(location: uris.Location, surroundings: source.Surroundings) -> mounted.MountedSource:
    """Gives the source of a URI; raises `StartFailure` where the claim isn't mounted."""
    mount = surroundings.mount_dir / FOLDER / location.host
    if not mount.is_dir():
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_NOT_FOUND,
            f"{location.shown}: the PersistentVolumeClaim {location.host!r} is not mounted at {mount}; "
            "the operator mounts it, outside of a cluster use file:///path",
        )
    return mounted.MountedSource(
        location.shown, f"the PersistentVolumeClaim {location.host!r}", mount, location.path
    )
