"""What the tests of `oci:` share: what is pushed, what has arrived, what was refused."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

from tests.integration.runtime import processes, registries

MODEL = b"\x80\x04" + b"model" * 1000
PLAIN = {"CREDENTIALS_OCI_PLAIN_HTTP": "true"}
LOGIN = {"CREDENTIALS_OCI_USERNAME": registries.USER, "CREDENTIALS_OCI_PASSWORD": registries.PASSWORD}
TAR = "application/vnd.oci.image.layer.v1.tar"


def model(folder: Path, name: str = "model.joblib", content: bytes = MODEL) -> Path:
    """Writes a file to push."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sha256(content: bytes) -> str:
    """The digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def files(folder: Path) -> dict[str, bytes]:
    """What `fetch` has left, by path; a single file has none."""
    (content,) = (folder / "artifact/content").iterdir()
    if content.is_file():
        return {"": content.read_bytes()}
    return {
        path.relative_to(content).as_posix(): path.read_bytes()
        for path in content.rglob("*")
        if path.is_file()
    }


def fetched(folder: Path, named: str, **variables: str) -> dict[str, bytes]:
    """Fetches, and gives what it has left."""
    ended = processes.fetch(folder, named, LOG_LEVEL="debug", **variables)
    assert ended.exit_code == 0, ended.log
    assert "canary" not in str(ended)
    return files(folder)


def refused(folder: Path, named: str, **variables: str) -> tuple[str, str]:
    """Fetches what can't be, and gives reason and message."""
    folder.mkdir(exist_ok=True)
    ended = processes.fetch(folder, named, LOG_LEVEL="debug", **variables)
    assert ended.termination is not None, ended.log
    assert "canary" not in str(ended)
    assert "Traceback" not in ended.log
    return ended.termination["reason"], ended.termination["message"]


def tar(entries: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return buffer.getvalue()


def layer(
    registry: registries.Registry, repository: str, content: bytes, media_type: str, title: str = ""
) -> Any:
    """Pushes a blob, and describes it as a layer."""
    annotations = {"annotations": {"org.opencontainers.image.title": title}} if title else {}
    return {**registry.put_blob(repository, content), "mediaType": media_type, **annotations}
