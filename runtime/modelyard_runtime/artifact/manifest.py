"""The manifest: what `fetch` leaves behind for `serve`, and the proof that a fetch has finished.

Written by `artifact.store`, read by it and by `loading`. Pure: bytes ↔ value.
"""

import msgspec

FILE_NAME = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lies in the artifact directory.

    `uri` is without secrets, `path` relative to the artifact directory, `bytes` the sum over all files. `digest` is the
    artifact's; of an archive that was unpacked, `content_digest` is the digest of what lies there instead of it.
    """

    uri: str
    digest: str
    path: str
    bytes: int
    content_digest: str | None = None


def encode(manifest: Manifest) -> bytes:
    """Gives the manifest as JSON."""
    return msgspec.json.encode(manifest)


def report(manifest: Manifest, model_format: str) -> bytes:
    """Gives what `fetch` tells the operator in its termination message: which bytes the pod has, and of what format."""
    told = {"digest": manifest.digest, "format": model_format, "bytes": manifest.bytes}
    return msgspec.json.encode(told)


def decode(content: bytes) -> Manifest | None:
    """Gives the manifest, or None when the bytes are not one."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return manifest if is_inside(manifest.path) else None


def is_inside(path: str) -> bool:
    """Says whether a relative path stays under `content/`."""
    parts = path.split("/")
    return len(parts) >= 2 and parts[0] == "content" and not any(part in ("", ".", "..") for part in parts)
