"""The runtime's settings: read once from the environment, checked, frozen.

`__main__` calls `prepare_settings` or `serve_settings` with the process environment, and `fetchsettings` for `fetch`.
Pure: a mapping goes in, a value or a `StartFailure` that names the variable and the remedy comes out.
`docs/reference/runtime-settings.md` lists the variables for people.
"""

import dataclasses
import enum
import re
from collections.abc import Mapping
from pathlib import Path

from modelyard_runtime import variables

DEFAULT_MAX_BODY_BYTES = 16 * 1024**2
DEFAULT_BATCH_MAX_SIZE = 64
# Within the progress deadline (300 s by default), with a minute for the scheduler, the image and the fetch: a model
# that hangs is then told as such, and not as a rollout that takes long.
DEFAULT_TRIAL_SECONDS = 240
# What policy.pickle can be; formats.pickles.rule says what each means. The first is the default.
PICKLE_RULES = ("Restricted", "Pinned", "Never", "Any")

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
class Access:
    """Who may predict: folders that a Secret is mounted at; None asks for nothing."""

    tokens_dir: Path | None = None
    tls_dir: Path | None = None
    client_certificates: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class TrialLimits:
    """What a model may take while it is tried; without `memory_bytes`, what the container has left."""

    seconds: float = DEFAULT_TRIAL_SECONDS
    memory_bytes: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PrepareSettings:
    """What `prepare` is asked to do."""

    artifact_dir: Path
    model_format: str | None = None
    version_policy: VersionPolicy = VersionPolicy.WARN
    allow_code: bool = False
    pickle_rule: str = PICKLE_RULES[0]
    is_pinned: bool = False
    accelerate: bool = True
    samples: str = "[]"
    trial: TrialLimits = TrialLimits()


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
    pickle_rule: str = PICKLE_RULES[0]
    is_pinned: bool = False
    accelerate: bool = True
    workers: int = 1
    batch_max_size: int = DEFAULT_BATCH_MAX_SIZE
    samples: str = "[]"
    trial: TrialLimits = TrialLimits()
    locked_digest: str | None = None
    access: Access = Access()
    access_log_share: float = 0.0
    exports_spans: bool = False


def process_settings(environment: Mapping[str, str]) -> ProcessSettings:
    """Gives log level and termination message path; an unknown level is reported later, by the command's settings."""
    level = environment.get("MODELYARD_LOG_LEVEL", "").lower()
    path = environment.get("MODELYARD_TERMINATION_MESSAGE_PATH") or "/dev/termination-log"
    return ProcessSettings(
        log_level=level if level in variables.LOG_LEVELS else "info",
        termination_message_path=Path(path),
    )


def serve_settings(environment: Mapping[str, str]) -> ServeSettings:
    """Gives the settings of `serve`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    name = variables.required(environment, "MODELYARD_MODEL_NAME", "the model's name (spec.model.name)")
    if not _NAME.fullmatch(name):
        raise variables.invalid(
            "MODELYARD_MODEL_NAME",
            f"{name!r} can't be part of a URL path; use letters, digits, '-', '_' and '.', at most 253",
        )
    port = variables.integer(environment, "MODELYARD_PORT", 8080)
    if port > 65535:
        raise variables.invalid("MODELYARD_PORT", f"{port} is not a port; use 1 to 65535")
    return ServeSettings(
        model_name=name,
        artifact_dir=variables.artifact_dir(environment),
        model_format=variables.model_format(environment),
        port=port,
        drain_seconds=variables.integer(environment, "MODELYARD_DRAIN_SECONDS", 30, minimum=0),
        max_body_bytes=variables.integer(environment, "MODELYARD_MAX_BODY_BYTES", DEFAULT_MAX_BODY_BYTES),
        log_level=variables.log_level(environment),
        version_policy=_version_policy(environment),
        allow_code=variables.choice(environment, "MODELYARD_ALLOW_CODE", ("false", "true")) == "true",
        pickle_rule=variables.choice(environment, "MODELYARD_PICKLE_RULE", PICKLE_RULES),
        is_pinned=bool(environment.get("MODELYARD_MODEL_DIGEST")),
        accelerate=variables.choice(environment, "MODELYARD_ACCELERATE", ("Auto", "Off")) == "Auto",
        workers=variables.integer(environment, "MODELYARD_WORKERS", 1),
        batch_max_size=variables.integer(environment, "MODELYARD_BATCH_MAX_SIZE", DEFAULT_BATCH_MAX_SIZE),
        samples=environment.get("MODELYARD_SAMPLES") or "[]",
        trial=_trial(environment),
        locked_digest=variables.digest(environment, "MODELYARD_LOCKED_DIGEST"),
        access=Access(
            tokens_dir=variables.directory(environment, "MODELYARD_TOKENS_DIR"),
            tls_dir=variables.directory(environment, "MODELYARD_TLS_DIR"),
            client_certificates=variables.choice(
                environment, "MODELYARD_CLIENT_CERTIFICATES", ("Ignore", "Require")
            )
            == "Require",
        ),
        access_log_share=variables.share(environment, "MODELYARD_ACCESS_LOG"),
        # OpenTelemetry's own variable: its libraries read it and its companions themselves.
        exports_spans=bool(environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")),
    )


def prepare_settings(environment: Mapping[str, str]) -> PrepareSettings:
    """Gives the settings of `prepare`; raises `StartFailure` (SettingsInvalid) naming the variable."""
    variables.log_level(environment)
    return PrepareSettings(
        artifact_dir=variables.artifact_dir(environment),
        model_format=variables.model_format(environment),
        version_policy=_version_policy(environment),
        allow_code=variables.choice(environment, "MODELYARD_ALLOW_CODE", ("false", "true")) == "true",
        pickle_rule=variables.choice(environment, "MODELYARD_PICKLE_RULE", PICKLE_RULES),
        is_pinned=bool(environment.get("MODELYARD_MODEL_DIGEST")),
        accelerate=variables.choice(environment, "MODELYARD_ACCELERATE", ("Auto", "Off")) == "Auto",
        samples=environment.get("MODELYARD_SAMPLES") or "[]",
        trial=_trial(environment),
    )


def _version_policy(environment: Mapping[str, str]) -> VersionPolicy:
    name = environment.get("MODELYARD_VERSION_POLICY") or VersionPolicy.WARN.value
    try:
        return VersionPolicy(name)
    except ValueError:
        known = ", ".join(policy.value for policy in VersionPolicy)
        raise variables.invalid(
            "MODELYARD_VERSION_POLICY", f"{name!r} is not a policy; use one of: {known}"
        ) from None


def _trial(environment: Mapping[str, str]) -> TrialLimits:
    # Zero is no number of bytes that anything runs in, and stands for "not set".
    memory_bytes = variables.integer(environment, "MODELYARD_TRIAL_MEMORY_BYTES", 0, minimum=0)
    return TrialLimits(
        seconds=variables.integer(environment, "MODELYARD_TRIAL_SECONDS", DEFAULT_TRIAL_SECONDS),
        memory_bytes=memory_bytes or None,
    )
