"""What opens the artifact's source: the keys of the credentials Secret, as files in a folder that only `fetch` has.

Read by `artifact.fetch` at its start, so that a changed Secret counts at the next start, and given to the source. Files
and no environment: what is in no environment is in no process list and reaches no child process.
It must never give a value to a log or an error: a `repr` shows the keys alone.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import errors, secretfiles

# The keys that count, for people and tests; all others are ignored.
KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON",
    "GOOGLE_STORAGE_ENDPOINT",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "HTTP_USERNAME",
    "HTTP_PASSWORD",
    "HTTP_BEARER_TOKEN",
    ".dockerconfigjson",
    "OCI_USERNAME",
    "OCI_PASSWORD",
    "OCI_PLAIN_HTTP",
    "HF_TOKEN",
    "HF_ENDPOINT",
    "ALLOWED_HOSTS",
    "ca.crt",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """The Secret's keys that count and their values, without the line break that a file may end with."""

    values: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)

    def get(self, key: str) -> str | None:
        """Gives the value of a key; None when the Secret lacks it or it is empty."""
        return self.values.get(key) or None

    def require_host(self, host: str) -> None:
        """Raises `StartFailure` (AccessDenied) when the Secret names hosts that it is for, and this is none of them.

        To be asked before a credential goes to a host, whatever library sends it; `host` is without port.
        """
        patterns = [
            part.strip().lower() for part in (self.get("ALLOWED_HOSTS") or "").split(",") if part.strip()
        ]
        name = host.lower().rstrip(".")
        if patterns and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            raise errors.StartFailure(
                errors.Reason.ACCESS_DENIED,
                f"the credentials are not for the host {host!r}: ALLOWED_HOSTS in the credentials Secret does not name "
                "it; use the Secret of that host, or add the host to the list",
            )

    def __repr__(self) -> str:
        """Gives the keys alone."""
        return f"Credentials({', '.join(sorted(self.values))})"


NONE = Credentials()


def read(folder: Path | None, name: str = "") -> Credentials:
    """Gives the credentials in a folder, `NONE` when there is none to look at; `name` is the Secret's, for people.

    Raises `StartFailure`: SecretMissing when the folder is empty, SettingsInvalid when a value is no text.
    """
    if folder is None:
        return NONE
    files = secretfiles.read(folder)
    if not files:
        raise errors.StartFailure(
            errors.Reason.SECRET_MISSING,
            f"spec.model.credentials.secretName: the Secret {name!r} does not exist in this namespace, or is empty; "
            "create it with the keys that docs/sources.md lists for this kind of URI",
        )
    return Credentials({key: _text(key, content) for key, content in files.items() if key in KEYS})


def _text(key: str, content: bytes) -> str:
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise errors.StartFailure(
            errors.Reason.SETTINGS_INVALID, f"the key {key} of the credentials Secret is not text (UTF-8)"
        ) from None
