"""Artifacts in a registry of images: what `oras push` has put there, and images that hold nothing but a model.

Chosen by `sources.opening`; `ociregistry` talks to the registry, `ocimanifest` says which blobs make the artifact.
The manifest is read once: all files of one fetch are of one version, whatever becomes of the tag meanwhile. Each blob
has its digest in the manifest, which `artifact.fetch` checks.
"""

import platform

from modelyard_runtime import errors
from modelyard_runtime.artifact import source, web
from modelyard_runtime.artifact import uri as uris
from modelyard_runtime.artifact.sources import ocimanifest, ociregistry


def build(location: uris.Location, surroundings: source.Surroundings) -> "OciSource":
    """Gives the source of a URI; raises `StartFailure` (UriUnsupported, SettingsInvalid)."""
    image = location.image
    assert image is not None  # noqa: S101 - what `uri.parse` gives for this scheme
    try:
        repository = ociregistry.Repository(
            image, location.shown, surroundings.credentials, web.Client(surroundings.egress)
        )
    except ValueError as error:
        raise errors.StartFailure(
            errors.Reason.URI_UNSUPPORTED, f"{location.shown} can't be used: {error}"
        ) from None
    return OciSource(location.shown, image.reference, image.digest, repository)


class OciSource:
    """The files of one manifest."""

    def __init__(
        self, shown: str, reference: str, digest: str | None, repository: ociregistry.Repository
    ) -> None:
        self._shown = shown
        self._reference = reference
        self._digest = digest
        self._repository = repository
        self._artifact: ocimanifest.Artifact | None = None

    def list_files(self) -> source.Listing:
        """Gives the layers, those that are archives with the way they are packed."""
        artifact = self._artifact = self._artifact or self._read()
        if not artifact.is_folder:
            (layer,) = artifact.layers
            packed = {"": layer.packed} if layer.packed else {}
            return source.Listing(False, (source.File("", layer.size_bytes, layer.digest),), packed)
        files = (source.File(layer.path, layer.size_bytes, layer.digest) for layer in artifact.layers)
        return source.Listing(True, tuple(files), ocimanifest.packed(artifact))

    def open_file(self, file: source.File, span: source.Span | None = None) -> source.Content:
        """Requests one blob, or a span of it."""
        assert file.digest is not None  # noqa: S101 - `list_files` gives none without
        content = self._repository.open_blob(file.digest, span)
        return source.Content(file.size_bytes, content.chunks, file.digest, content.is_span)

    def _read(self) -> ocimanifest.Artifact:
        machine = platform.machine()
        content = self._repository.manifest(self._reference, self._digest)
        found = ocimanifest.read(content, self._shown, machine)
        if isinstance(found, ocimanifest.Descriptor):
            content = self._repository.manifest(found.digest, found.digest)
            ocimanifest.check_size(found, content, self._shown)
            found = ocimanifest.read(content, self._shown, machine)
        if isinstance(found, ocimanifest.Descriptor):
            raise errors.StartFailure(
                errors.Reason.URI_UNSUPPORTED,
                f"{self._shown} is an index of indexes; name the image by its digest",
            )
        return found
