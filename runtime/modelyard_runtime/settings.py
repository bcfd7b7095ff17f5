"""The runtime's settings: read once from the environment, checked, frozen.

`__main__` calls `fetch_settings` or `serve_settings` with the process environment; nothing else reads variables.
Pure: a mapping goes in, a value or a `StartFailure` that names the variable and the remedy comes out.
`docs/reference/runtime-settings.md` lists the variables for people.
"""

import dataclasses
import enum
import re
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import errors

CREDENTIALS_PREFIX = "MODELYARD_CREDENTIALS_"
DEFAULT_MAX_ARTIFACT_BYTES = 10 * 1024**3
DEFAULT_MAX_BODY_BYTES = 16 * 1024**2
DEFAULT_BATCH_MAX_SIZE = 64
# Every format there is an adapter for; which of them an image serves depends on the libraries in it (formats.catalog).
FORMATS = (
    "sklearn", "skops", "onnx", "xgboost", "lightgbm", "catboost", "torch", "keras", "mlflow", "custom",
)  # fmt: skip
LOG_LEVELS = ("debug", "info", "warning", "error")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


class VersionPolicy(enum.Enum):
    """What happens to a model that another version of its library wrote."""

    WARN = "Warn"
    REFUSE = "Refuse"


@dataclasses.dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What both commands need before they can even fail properly."""

    log_level: str
    termination_message_path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Credentials:
    """The documented keys of the credentials Secret; values never appear in `repr`, logs or errors."""

    access_key_id: str | None = dataclasses.field(default=None, repr=False)
    secret_access_key: str | None = dataclasses.field(default=None, repr=False)
    session_token: str | None = dataclasses.field(default=None, repr=False)
    region: str | None = None
    endpoint_url: str | None = None
    username: str | None = dataclasses.field(default=None, repr=False)
    password: str | None = dataclasses.field(default=None, repr=False)
    bearer_token: str | None = dataclasses.field(default=None, repr=False)


# Secret key → field. Keys that are not here are ignored.
CREDENTIAL_KEYS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
    "AWS_ENDPOINT_URL": "endpoint_url",
    "HTTP_USERNAME": "username",
    "HTTP_PASSWORD": "password",
    "HTTP_BEARER_TOKEN": "bearer_token",
}


@dataclasses.dataclass(frozen=True, slots=True)
class FetchSettings:
    """What `fetch` is asked to do."""

    uri: str
    artifact_dir: Path
    digest: str | None = None
    model_format: str | None = None
    max_artifact_bytes: int = DEFAULT_MAX_ARTIFACT_BYTES
    samples_uri: str | None = None
    credentials: Credentials = Credentials()


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Who may predict: folders that a Secret is mounted at; None asks for nothing."""

    tokens_dir: Path | None = None
    tls_dir: Path | None = None
    client_certificates: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What `prepare` is asked to do."""

    artifact_dir: Path
    model_format: str | None = None
    version_policy: VersionPolicy = VersionPolicy.WARN
    allow_code: bool = False
    accelerate: bool = True
    samples: str = "[]"


@dataclasses.dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `serve` is asked to do."""

    model_name: str
    artifact_dir: Path
    model_format: str | None = None
    port: int = 8080
    drain_seconds: float = 30.0
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    log_level: str = "info"
    version_policy: VersionPolicy = VersionPolicy.WARN
    allow_code: bool = False
    accelerate: bool = True
    workers: int = 1
    batch_max_size: int = DEFAULT_BATCH_MAX_SIZE
    samples: str = "[]"
    access: Access = Access()
    access_log_share: float = 0.0
    exports_spans: bool = False


def process_settings(environment: Mapping[str, str]) -> ProcessSettings:
    """Gives log level and termination message path; an unknown level is reported later, by the command's settings."""
    level = environment.get("MODELYARD_LOG_LEVEL", "").lower()
    path = environment.get("MODELYARD_TERMINATION_MESSAGE_PATH") or "/dev/termination-log"
    return ProcessSettings(
        log_level=level if level in LOG_LEVELS else "info",
        termination_message_path=Path(path),
    )


def fetch_settings(environment: Mapping[str, str]) -> FetchSettings:
    """Gives the settings of `fetch`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    _log_level(environment)
    digest = environment.get("MODELYARD_MODEL_DIGEST") or None
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise _invalid(
            "MODELYARD_MODEL_DIGEST",
            f"{digest!r} is not a digest; write 'sha256:' and 64 lower-case hexadecimal digits",
        )
    return FetchSettings(
        uri=_required(environment, "MODELYARD_MODEL_URI", "the artifact's URI (spec.model.uri)"),
        artifact_dir=_artifact_dir(environment),
        digest=digest,
        model_format=_model_format(environment),
        max_artifact_bytes=_integer(environment, "MODELYARD_MAX_ARTIFACT_BYTES", DEFAULT_MAX_ARTIFACT_BYTES),
        samples_uri=environment.get("MODELYARD_SAMPLES_URI") or None,
        credentials=_credentials(environment),
    )


def serve_settings(environment: Mapping[str, str]) -> ServeSettings:
    """Gives the settings of `serve`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    name = _required(environment, "MODELYARD_MODEL_NAME", "the model's name (spec.model.name)")
    if not _NAME.fullmatch(name):
        raise _invalid(
            "MODELYARD_MODEL_NAME",
            f"{name!r} can't be part of a URL path; use letters, digits, '-', '_' and '.', at most 253",
        )
    port = _integer(environment, "MODELYARD_PORT", 8080)
    if port > 65535:
        raise _invalid("MODELYARD_PORT", f"{port} is not a port; use 1 to 65535")
    return ServeSettings(
        model_name=name,
        artifact_dir=_artifact_dir(environment),
        model_format=_model_format(environment),
        port=port,
        drain_seconds=_integer(environment, "MODELYARD_DRAIN_SECONDS", 30, minimum=0),
        max_body_bytes=_integer(environment, "MODELYARD_MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES),
        log_level=_log_level(environment),
        version_policy=_version_policy(environment),
        allow_code=_choice(environment, "MODELYARD_ALLOW_CODE", ("false", "true")) == "true",
        accelerate=_choice(environment, "MODELYARD_ACCELERATE", ("Auto", "Off")) == "Auto",
        workers=_integer(environment, "MODELYARD_WORKERS", 1),
        batch_max_size=_integer(environment, "MODELYARD_BATCH_MAX_SIZE", DEFAULT_BATCH_MAX_SIZE),
        samples=environment.get("MODELYARD_SAMPLES") or "[]",
        access=Access(
            tokens_dir=_directory(environment, "MODELYARD_TOKENS_DIR"),
            tls_dir=_directory(environment, "MODELYARD_TLS_DIR"),
            client_certificates=_choice(environment, "MODELYARD_CLIENT_CERTIFICATES", ("Ignore", "Require"))
            == "Require",
        ),
        access_log_share=_share(environment, "MODELYARD_ACCESS_LOG"),
        # OpenTelemetry's own variable: its libraries read it and its companions themselves.
        exports_spans=bool(environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")),
    )


def prepare_settings(environment: Mapping[str, str]) -> PrepareSettings:
    """Gives the settings of `prepare`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    _log_level(environment)
    return PrepareSettings(
        artifact_dir=_artifact_dir(environment),
        model_format=_model_format(environment),
        version_policy=_version_policy(environment),
        allow_code=_choice(environment, "MODELYARD_ALLOW_CODE", ("false", "true")) == "true",
        accelerate=_choice(environment, "MODELYARD_ACCELERATE", ("Auto", "Off")) == "Auto",
        samples=environment.get("MODELYARD_SAMPLES") or "[]",
    )


def _invalid(variable: str, problem: str) -> errors.StartFailure:
    return errors.StartFailure(errors.Reason.SETTINGS_INVALID, f"{variable}: {problem}")


def _required(environment: Mapping[str, str], variable: str, meaning: str) -> str:
    value = environment.get(variable, "")
    if not value:
        raise _invalid(variable, f"is not set; it must hold {meaning}")
    return value


def _integer(environment: Mapping[str, str], variable: str, default: int, minimum: int = 1) -> int:
    text = environment.get(variable) or str(default)
    # isascii first: isdigit alone takes digits of every script, and superscripts that int() refuses.
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < minimum:
        raise _invalid(variable, f"{text[:40]!r} is not a whole number of at least {minimum}")
    return int(text)


def _share(environment: Mapping[str, str], variable: str) -> float:
    """Gives a number from 0 to 1; 0 when the variable is not set."""
    text = environment.get(variable) or "0"
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise _invalid(
            variable, f"{text[:40]!r} is not a share; use a number from 0 (nothing) to 1 (everything)"
        )
    return share


def _artifact_dir(environment: Mapping[str, str]) -> Path:
    return _directory(environment, "MODELYARD_ARTIFACT_DIR") or Path("/mnt/artifact")


def _directory(environment: Mapping[str, str], variable: str) -> Path | None:
    """Gives the absolute path that a variable holds; None when it is not set."""
    text = environment.get(variable)
    if not text:
        return None
    if not Path(text).is_absolute():
        raise _invalid(variable, f"{text!r} is not an absolute path")
    return Path(text)


def _choice(environment: Mapping[str, str], variable: str, choices: tuple[str, ...]) -> str:
    """Gives one of the choices; the first when the variable is not set."""
    value = environment.get(variable) or choices[0]
    if value not in choices:
        raise _invalid(variable, f"{value!r} is not a choice; use one of: {', '.join(choices)}")
    return value


def _model_format(environment: Mapping[str, str]) -> str | None:
    name = environment.get("MODELYARD_MODEL_FORMAT") or None
    if name is not None and name not in FORMATS:
        known = ", ".join(FORMATS)
        raise _invalid(
            "MODELYARD_MODEL_FORMAT", f"{name!r} is not a format this runtime serves; use one of: {known}"
        )
    return name


def _version_policy(environment: Mapping[str, str]) -> VersionPolicy:
    name = environment.get("MODELYARD_VERSION_POLICY") or VersionPolicy.WARN.value
    try:
        return VersionPolicy(name)
    except ValueError:
        known = ", ".join(policy.value for policy in VersionPolicy)
        raise _invalid("MODELYARD_VERSION_POLICY", f"{name!r} is not a policy; use one of: {known}") from None


def _log_level(environment: Mapping[str, str]) -> str:
    level = environment.get("MODELYARD_LOG_LEVEL") or "info"
    if level.lower() not in LOG_LEVELS:
        raise _invalid(
            "MODELYARD_LOG_LEVEL", f"{level!r} is not a level; use one of: {', '.join(LOG_LEVELS)}"
        )
    return level.lower()


def _credentials(environment: Mapping[str, str]) -> Credentials:
    given = {
        field: environment[CREDENTIALS_PREFIX + key].strip()
        for key, field in CREDENTIAL_KEYS.items()
        if environment.get(CREDENTIALS_PREFIX + key, "").strip()
    }
    return Credentials(**given)
