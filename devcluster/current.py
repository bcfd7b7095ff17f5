"""The cluster that the user's kubectl points to, which is only used and never made or removed.

Called by `clusters` for CLUSTER=current. Its nodes pull images from a registry: nothing can be loaded into them from
here, so the user pushes the images and names the registry.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from devcluster import errors, images

_EXAMPLE = "modelyard/runtime:dev-KEY"


@dataclasses.dataclass(frozen=True)
class Current:
    """The user's own cluster.

    Attributes:
        kubeconfig: as in KUBECONFIG, which may list several files.
        registry: where the user has pushed the images, as in "registry.example.com/team".
    """

    name: str
    kubeconfig: Path
    registry: str

    def load_image(self, image: images.Image) -> str:
        """Give the name under which the user has pushed an image."""
        return pushed_reference(self.registry, image.reference)

    def down(self) -> None:
        """Leave the user's cluster alone."""


def find(environ: Mapping[str, str]) -> Current:
    """Give the user's cluster.

    Raises:
        DevclusterError: no registry is named; with what to do.
    """
    registry = environ.get("IMAGE_REGISTRY", "").rstrip("/")
    if not registry:
        raise errors.DevclusterError(
            "CLUSTER=current: images cannot be put into a cluster's nodes from here; they must be in a registry that "
            "the cluster pulls from. `python -m devcluster build-images` tells each image's name and file. Load a file "
            f"(docker load --input FILE), give it the registry's name (docker tag {_EXAMPLE} "
            f"{pushed_reference('REGISTRY', _EXAMPLE)}), push that, and say where they are: IMAGE_REGISTRY=REGISTRY"
        )
    home = Path(environ.get("HOME", "/"))
    return Current("current", Path(environ.get("KUBECONFIG") or home / ".kube" / "config"), registry)


def pushed_reference(registry: str, reference: str) -> str:
    """Give the name of an image in a registry: its own last part, below the registry's name."""
    return f"{registry}/{reference.rpartition('/')[2]}"
