"""The artifact directory: staging, the atomic commit, and what is already there.

    <artifact dir>/manifest.json      written last; without it there is no artifact
    <artifact dir>/content/<name>     the file or folder
    <artifact dir>/samples.json       what the model must answer, when spec.validation.samplesURI names a file
    <artifact dir>/.staging/<name>    a fetch in progress; removed at the next start

Called by `artifact.fetch` (writes) and `loading` (reads). It must never leave a manifest beside content that it does
not describe.
"""

import shutil
from pathlib import Path

from modelyard_runtime import errors
from modelyard_runtime.artifact import digest as digests
from modelyard_runtime.artifact import manifest as manifests
from modelyard_runtime.artifact import volume


class Store:
    """The artifact directory of one pod."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._manifest_path = directory / manifests.FILE_NAME
        self._content = directory / "content"
        self._staging = directory / ".staging"
        self._samples = directory / "samples.json"

    def complete(self, uri: str, pinned_digest: str | None) -> manifests.Manifest | None:
        """Gives the manifest when this very artifact is already here, whole and unaltered (it is hashed again)."""
        manifest = self._read_manifest()
        if manifest is None or manifest.uri != uri:
            return None
        if pinned_digest is not None and pinned_digest != manifest.digest:
            return None
        path = self._directory / manifest.path
        if not path.exists() or digests.of_path(path) != (manifest.content_digest or manifest.digest):
            return None
        return manifest

    def prepare(self, name: str) -> Path:
        """Clears everything from before and gives the staging path for an artifact called `name`."""
        try:
            self._manifest_path.unlink(missing_ok=True)
            for folder in (self._staging, self._content):
                if folder.exists():
                    shutil.rmtree(folder)
            self._staging.mkdir(parents=True)
        except OSError as error:
            raise volume.disk_failure(error) from error
        return self._staging / name

    def commit(
        self, staged: Path, uri: str, digest: str, size_bytes: int, content_digest: str | None = None
    ) -> manifests.Manifest:
        """Makes the staged artifact the one that is served; `content_digest` is of an archive's content."""
        manifest = manifests.Manifest(
            uri=uri,
            digest=digest,
            path=f"content/{staged.name}",
            bytes=size_bytes,
            content_digest=content_digest,
        )
        temporary = self._staging / manifests.FILE_NAME
        try:
            self._content.mkdir()
            staged.rename(self._content / staged.name)
            temporary.write_bytes(manifests.encode(manifest))
            temporary.rename(self._manifest_path)
            self._staging.rmdir()
        except OSError as error:
            raise volume.disk_failure(error) from error
        return manifest

    def prepare_samples(self) -> Path:
        """Gives the path to fetch the samples file to."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise volume.disk_failure(error) from error
        return self._directory / ".samples.json"

    def commit_samples(self, staged: Path | None) -> None:
        """Makes the staged file the one with the samples; None means that there are none any more."""
        try:
            if staged is None:
                self._samples.unlink(missing_ok=True)
            else:
                staged.replace(self._samples)
        except OSError as error:
            raise volume.disk_failure(error) from error

    def read_samples(self) -> bytes | None:
        """Gives the samples file, None when there is none."""
        try:
            return self._samples.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise volume.disk_failure(error) from error

    def open(self) -> tuple[manifests.Manifest, Path]:
        """Gives the manifest and the path of the artifact; raises `StartFailure` when fetch has not run."""
        manifest = self._read_manifest()
        if manifest is None or not (self._directory / manifest.path).exists():
            raise errors.StartFailure(
                errors.Reason.SETTINGS_INVALID,
                f"MODELYARD_ARTIFACT_DIR: {self._directory} holds no artifact: fetch has not run; "
                "run `modelyard-runtime fetch` first with the same directory",
            )
        return manifest, self._directory / manifest.path

    def _read_manifest(self) -> manifests.Manifest | None:
        try:
            return manifests.decode(self._manifest_path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise volume.disk_failure(error) from error
