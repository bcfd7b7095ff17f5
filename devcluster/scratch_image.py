"""Packs one static binary into an image of its own, without any image builder.

Called for the pause image and the demo's S3 server. Nothing is in such an image but the binary: no shell, no base whose
holes somebody would have to patch. The same binary always gives the same bytes.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

# The user of all of Modelyard's images; it owns nothing.
USER = "10001:10001"


def write(binary: Path, reference: str, architecture: str, archive: Path) -> None:
    """Write the docker-archive of an image that runs `binary`.

    Args:
        binary: a static executable.
        reference: the image's full name and tag.
        architecture: as Go calls it, as in "amd64".
        archive: the file to write.
    """
    layer = _tar([(binary.name, binary.read_bytes(), 0o755)])
    layer_id = hashlib.sha256(layer).hexdigest()
    configuration = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": [f"/{binary.name}"], "User": USER, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_id}"]},
            "history": [{"created_by": f"modelyard: {binary.name}"}],
        }
    )
    configuration_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    layer_name = f"{layer_id}/layer.tar"
    manifest = _json([{"Config": configuration_name, "RepoTags": [reference], "Layers": [layer_name]}])
    archive.write_bytes(
        _tar(
            [
                (configuration_name, configuration, 0o644),
                (layer_name, layer, 0o644),
                ("manifest.json", manifest, 0o644),
            ]
        )
    )


def _json(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _tar(files: list[tuple[str, bytes, int]]) -> bytes:
    """Give a tar of files (name, content, mode) that has no dates and no owners."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
