"""The settings of `fetch`: where the artifact is, which bytes are right, and what the administrator allows on the way.

`__main__` calls `read` with the process environment. Pure: a mapping goes in, a value or a `StartFailure` that names
the variable and the remedy comes out. Credentials are no settings: they come as files (`artifact.credentials`).
`docs/reference/runtime-settings.md` lists the variables for people.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import variables

DEFAULT_MAX_ARTIFACT_BYTES = 10 * 1024**3
DEFAULT_MOUNT_DIR = Path("/mnt")


@dataclasses.dataclass(frozen=True, slots=True)
class FetchSettings:
    """What `fetch` is asked to do.

    `digest` is what the author pins, `locked_digest` what this revision's first pod has loaded.
    """

    uri: str
    artifact_dir: Path
    digest: str | None = None
    locked_digest: str | None = None
    model_format: str | None = None
    max_artifact_bytes: int = DEFAULT_MAX_ARTIFACT_BYTES
    samples_uri: str | None = None
    credentials_dir: Path | None = None
    credentials_secret: str = ""
    mount_dir: Path = DEFAULT_MOUNT_DIR


def read(environment: Mapping[str, str]) -> FetchSettings:
    """Gives the settings of `fetch`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    variables.log_level(environment)
    return FetchSettings(
        uri=variables.required(environment, "MODELYARD_MODEL_URI", "the artifact's URI (spec.model.uri)"),
        artifact_dir=variables.artifact_dir(environment),
        digest=variables.digest(environment, "MODELYARD_MODEL_DIGEST"),
        locked_digest=variables.digest(environment, "MODELYARD_LOCKED_DIGEST"),
        model_format=variables.model_format(environment),
        max_artifact_bytes=variables.integer(
            environment, "MODELYARD_MAX_ARTIFACT_BYTES", DEFAULT_MAX_ARTIFACT_BYTES
        ),
        samples_uri=environment.get("MODELYARD_SAMPLES_URI") or None,
        credentials_dir=variables.directory(environment, "MODELYARD_CREDENTIALS_DIR"),
        credentials_secret=environment.get("MODELYARD_CREDENTIALS_SECRET", ""),
        mount_dir=variables.directory(environment, "MODELYARD_MOUNT_DIR") or DEFAULT_MOUNT_DIR,
    )
