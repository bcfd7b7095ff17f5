"""What a registry's manifest says an artifact is made of: which of its layers are files, and which are tar archives.

Used by `sources.oci`. Titled layers are files (`oras push`), also those of the CNCF's model format; tar layers, of
an image or of a packed folder, are unpacked one over the other once all bytes are verified. Pure: bytes go in, a value
or a `StartFailure` comes out.
"""

import dataclasses
import re
from collections.abc import Mapping

import msgspec

from modelyard_runtime import errors
from modelyard_runtime.artifact import references
from modelyard_runtime.artifact.archives import kinds

MAX_BYTES = 4 * 1024 * 1024  # what registries take at most, by the distribution specification
MAX_LAYERS = 10_000
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*_MANIFESTS, *_INDEXES))
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Where the file's name is, by who packed it: any tool of the OCI, the CNCF's model format.
_TITLES = ("org.opencontainers.image.title", "org.cncf.model.filepath")
_TAR = re.compile(r".*[.+]tar(?:[.+](gzip|zstd))?")
_TAR_KINDS = {None: kinds.Kind.TAR, "gzip": kinds.Kind.TAR_GZ, "zstd": kinds.Kind.TAR_ZST}
_SUFFIXES = {
    kinds.Kind.TAR: ".tar",
    kinds.Kind.TAR_GZ: ".tar.gz",
    kinds.Kind.TAR_ZST: ".tar.zst",
    kinds.Kind.ZIP: ".zip",
}
# A folder, as `oras push` packs one: a mark of its newer versions, the type of all.
_UNPACK = "io.deis.oras.content.unpack"
_PACKED_FOLDER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MODEL_FORMAT = "application/vnd.cncf.model."
_NOTHING = "application/vnd.oci.empty.v1+json"
# Go's name of what this machine is; an index has one image for each.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}


class Platform(msgspec.Struct, frozen=True):
    """What an image of an index is for."""

    os: str = ""
    architecture: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """One blob or manifest, as another one names it."""

    digest: str
    size: int
    media_type: str = ""
    annotations: dict[str, str] | None = None
    platform: Platform | None = None


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    schema_version: int
    media_type: str = ""
    layers: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """One blob of an artifact: where its bytes go below the artifact's root, and how they are packed, if they are."""

    path: str
    digest: str
    size_bytes: int
    packed: kinds.Kind | None


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """What a manifest describes; one file, when `is_folder` is false, whose layer still has its own name as path."""

    is_folder: bool
    layers: tuple[Layer, ...]


def read(content: bytes, shown: str, machine: str) -> Artifact | Descriptor:
    """Gives the artifact of a manifest or, of an index, the manifest for this machine; raises `StartFailure`."""
    try:
        document = msgspec.json.decode(content, type=_Document)
    except msgspec.DecodeError:
        raise _unusable(shown, "the registry's manifest of it can't be read; is this a registry?") from None
    if document.schema_version != 2:
        raise _unusable(
            shown, f"its manifest has version {document.schema_version}; push it again as an OCI artifact"
        )
    if document.manifests is not None:
        return _choose(document.manifests, shown, machine)
    return _artifact(document.layers or [], shown)


def check_size(described: Descriptor, content: bytes, shown: str) -> None:
    """Raises `StartFailure` for a manifest of another size than its index says."""
    if described.size != len(content):
        raise _unusable(
            shown,
            f"its index gives the manifest {described.digest} {described.size} bytes, and it has {len(content)}; push "
            "it again",
        )


def _choose(manifests: list[Descriptor], shown: str, machine: str) -> Descriptor:
    """Gives the one manifest of an index, or the one for this machine; what only attests to another is left out."""
    images = [one for one in manifests if not _is_attestation(one)]
    wanted = Platform("linux", _ARCHITECTURES.get(machine, machine))
    found = [one for one in images if one.platform == wanted] if len(images) > 1 else images
    if len(found) == 1:
        _check(found[0], shown)
        if found[0].media_type in _INDEXES:
            raise _unusable(shown, "it is an index of indexes; name the image by its digest")
        return found[0]
    offered = ", ".join(sorted({_platform(one) for one in images})) or "nothing"
    raise _unusable(
        shown,
        f"it is an index with {len(found) or 'no'} image{'s' * (len(found) != 1)} for linux/{wanted.architecture} "
        f"(it offers {offered}); name the image by its digest",
    )


def _is_attestation(one: Descriptor) -> bool:
    return (one.annotations or {}).get("vnd.docker.reference.type") is not None


def _platform(one: Descriptor) -> str:
    return f"{one.platform.os}/{one.platform.architecture}" if one.platform else "one without a platform"


def _artifact(layers: list[Descriptor], shown: str) -> Artifact:
    described = [one for one in layers if one.media_type != _NOTHING]
    if not described:
        raise _unusable(shown, "it has no layer, and so no model")
    if len(described) > MAX_LAYERS:
        raise errors.StartFailure(
            errors.Reason.ARTIFACT_TOO_LARGE, f"{shown} has more than {MAX_LAYERS} layers; push fewer files"
        )
    found: dict[str, Layer] = {}
    for number, one in enumerate(described):
        layer = _layer(one, number, len(described) == 1, shown)
        if layer.path in found:
            raise _unusable(shown, f"two of its layers are called {layer.path!r}")
        found[layer.path] = layer
    return Artifact(len(found) > 1, tuple(found.values()))


def _layer(one: Descriptor, number: int, is_only: bool, shown: str) -> Layer:
    _check(one, shown)
    annotations = one.annotations or {}
    title = next((annotations[key] for key in _TITLES if annotations.get(key)), None)
    if (kind := _packing(one, title, is_only)) is not None:
        name = "layer" if is_only else f"layer-{number:05d}"
        return Layer(name + _SUFFIXES[kind], one.digest, one.size, kind)
    if title is None and is_only:
        return Layer("model", one.digest, one.size, None)
    path = references.plain_path(title.removeprefix("./").replace("%", "%25")) if title else None
    if path is None:
        raise _unusable(
            shown,
            f"its layer {number + 1} ({one.media_type or 'of no type'}) "
            + (f"is titled {title[:200]!r}, which can't be a file name" if title else "has no title")
            + "; push files with `oras push`, which titles them",
        )
    return Layer(path, one.digest, one.size, None)


def _packing(one: Descriptor, title: str | None, is_only: bool) -> kinds.Kind | None:
    """Gives how a layer is packed, None for one that is a file."""
    match = _TAR.fullmatch(one.media_type)
    found = _TAR_KINDS[match[1]] if match else None
    if title is None or one.media_type.startswith(_MODEL_FORMAT):
        return found
    if (one.annotations or {}).get(_UNPACK) == "true":
        return found or kinds.Kind.TAR_GZ
    # An archive that was pushed as one file is unpacked, as it would be from any other place.
    if (kind := kinds.find(title)) is not None:
        return kind if is_only else None
    # `oras push` says of every file that it is a plain tar; only what is compressed too is a folder.
    return found if one.media_type == _PACKED_FOLDER else None


def _check(one: Descriptor, shown: str) -> None:
    if not _DIGEST.fullmatch(one.digest) or one.size < 0:
        raise _unusable(
            shown, f"its manifest names a blob by {one.digest[:80]!r}; only sha256 digests are understood"
        )
    if one.media_type.endswith("+encrypted"):
        raise _unusable(shown, "it is encrypted; push it without")


def _unusable(shown: str, problem: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.URI_UNSUPPORTED, f"{shown} is no artifact to serve: {problem}")


def packed(artifact: Artifact) -> Mapping[str, kinds.Kind]:
    """Gives the paths of the layers that are to be unpacked, in their order."""
    return {layer.path: layer.packed for layer in artifact.layers if layer.packed is not None}
